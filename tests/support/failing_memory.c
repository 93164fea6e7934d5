#include "tests/support/failing_memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

/* Atomic: the work pool allocates too. 0: not armed. */
static atomic_ulong left;
static atomic_bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

static bool fails_now(void)
{
	unsigned long before = atomic_load(&left);

	while (before && !atomic_compare_exchange_weak(&left, &before, before - 1))
		;
	if (before != 1)
		return false;
	atomic_store(&failed, true);
	errno = ENOMEM;
	return true;
}

void failing_memory_arm(unsigned long n)
{
	atomic_store(&failed, false);
	atomic_store(&left, n);
}

bool failing_memory_disarm(void)
{
	atomic_store(&left, 0);
	return atomic_load(&failed);
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails_now() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails_now() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
	return fails_now() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return fails_now() ? NULL : __real_strndup(s, n);
}
