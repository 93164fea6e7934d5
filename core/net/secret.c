#include "core/net/secret.h"

#include "core/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_EVERY_NS NS_PER_S

void secret_buffer_fini(struct buffer *b)
{
	if (b->data)
		OPENSSL_cleanse(b->data, b->capacity);
	buffer_fini(b);
}

static int refuse(struct error *error, int code, const char *path, const char *why)
{
	return error_set(error, code, "cannot take the secret from the file %s: %s", path, why);
}

static struct secret_file_version version_of(const struct stat *s)
{
	return (struct secret_file_version){s->st_dev, s->st_ino, s->st_size, s->st_mtim,
	                                    s->st_ctim};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_version(const struct secret_file_version *a, const struct secret_file_version *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

static int check_file(const struct stat *s, const char *path, struct error *error)
{
	if (!S_ISREG(s->st_mode))
		return refuse(error, -EINVAL, path, "it is not a regular file");
	if (s->st_mode & S_IROTH)
		return refuse(
			error, -EACCES, path,
			"every user of this machine may read it; take that right away "
			"(chmod o-r; for a Kubernetes secret, defaultMode: 0440 and fsGroup)");
	if (s->st_size > SECRET_FILE_MAX)
		return refuse(error, -EFBIG, path, "it is larger than 1 MiB");
	return 0;
}

/* Room for all is taken at once: a buffer that grows leaves copies behind. */
static int read_all(int fd, size_t size, const char *path, struct buffer *out, struct error *error)
{
	uint8_t *at = buffer_reserve(out, size + 1);
	ssize_t n = 1;

	if (!at)
		return error_no_memory(error);
	while (out->len <= size && n != 0) {
		n = read(fd, at + out->len, size + 1 - out->len);
		if (n < 0 && errno != EINTR)
			return refuse(error, -errno, path, strerror(errno));
		out->len += n > 0 ? (size_t)n : 0;
	}
	if (out->len > size)
		return refuse(error, -EAGAIN, path, "it was written while it was read");
	while (out->len && isspace(out->data[out->len - 1]))
		out->len--;
	if (!out->len)
		return refuse(error, -EINVAL, path, "it is empty");
	return 0;
}

/* Only on success is anything in f changed. */
static int load(struct secret_file *f, const char *path, struct error *error)
{
	int r, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct buffer text = BUFFER_INIT;
	struct stat s;

	if (fd < 0)
		return refuse(error, -errno, path, strerror(errno));
	r = fstat(fd, &s) < 0 ? refuse(error, -errno, path, strerror(errno))
	                      : check_file(&s, path, error);
	if (r == 0)
		r = read_all(fd, (size_t)s.st_size, path, &text, error);
	close(fd);
	if (r < 0) {
		secret_buffer_fini(&text);
		return r;
	}
	secret_buffer_fini(&f->text);
	f->text = text;
	f->version = version_of(&s);
	return 0;
}

int secret_file_open(struct secret_file *f, const char *path, struct error *error)
{
	*f = (struct secret_file){.path = path, .looked_ns = clock_monotonic_ns()};
	return load(f, path, error);
}

void secret_file_fini(struct secret_file *f)
{
	secret_buffer_fini(&f->text);
	*f = (struct secret_file){0};
}

bool secret_file_refresh(struct secret_file *f, const struct logger *log)
{
	uint64_t now = clock_monotonic_ns();
	struct secret_file_version version;
	struct error error = ERROR_INIT;
	struct stat s;

	if (now - f->looked_ns < LOOK_EVERY_NS)
		return false;
	f->looked_ns = now;
	if (stat(f->path, &s) == 0) {
		version = version_of(&s);
		if (same_version(&version, &f->version)) {
			f->failing = false;
			return false;
		}
	}
	if (load(f, f->path, &error) == 0) {
		f->failing = false;
		log_info(log, "read %s again: it has changed", f->path);
		return true;
	}
	if (!f->failing)
		log_warn(log, "%s; what it held before stays in force", error.message);
	f->failing = true;
	return false;
}

bool secret_key_make(uint8_t ret[SECRET_KEY_SIZE])
{
	return RAND_bytes(ret, SECRET_KEY_SIZE) == 1;
}

bool secret_digest(const uint8_t key[SECRET_KEY_SIZE], struct slice first, struct slice second,
                   uint8_t ret[SECRET_DIGEST_SIZE])
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, key, SECRET_KEY_SIZE);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t size = SECRET_DIGEST_SIZE;
	bool ok;

	ok = pkey && context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pkey) == 1 &&
	     EVP_DigestSignUpdate(context, first.data, first.len) == 1 &&
	     EVP_DigestSignUpdate(context, "", 1) == 1 &&
	     EVP_DigestSignUpdate(context, second.data, second.len) == 1 &&
	     EVP_DigestSignFinal(context, ret, &size) == 1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pkey);
	return ok;
}

bool secret_digest_equal(const uint8_t a[SECRET_DIGEST_SIZE], const uint8_t b[SECRET_DIGEST_SIZE])
{
	return CRYPTO_memcmp(a, b, SECRET_DIGEST_SIZE) == 0;
}
