/* basicauth, private: the users that may come in, and who has shown the right password lately. */
#ifndef WEIR_EXTENSIONS_BASICAUTH_H
#define WEIR_EXTENSIONS_BASICAUTH_H

#include "core/net/secret.h"

enum { BASICAUTH_REMEMBERED = 256 }; /* pairs of name and password, of each kind */

/* The text of htpasswd files, taken apart, and what is remembered of it. */
struct basicauth_users {
	struct buffer text; /* names and hashes, each ended by a NUL */
	struct basicauth_user {
		const char *name, *hash;
	} * items;
	size_t count;

	/* Computing a hash is meant to be slow, and the loop waits for it: what was right or wrong
	 * is known again by its digest; when there is no room, a new one takes the place of any. */
	uint8_t key[SECRET_KEY_SIZE];
	struct basicauth_memory {
		bool used;
		uint8_t digest[SECRET_DIGEST_SIZE];
		size_t user;
	} right[BASICAUTH_REMEMBERED], wrong[BASICAUTH_REMEMBERED];
	uint64_t rest_until_ns; /* after a wrong password nothing is computed for a while */
};

/* All zeros before. False: the system has no random numbers. */
bool basicauth_users_init(struct basicauth_users *u);
void basicauth_users_fini(struct basicauth_users *u);

/* Replaces the users by those of both texts; the first line of a name counts. Fails, with the users
 * as they were: a line that is no user, a hash that is not known (the sentence names line and
 * user), nobody at all. */
int basicauth_users_set(struct basicauth_users *u, struct slice inline_text, struct slice file_text,
                        struct error *error);

/* Whether the password is the user's; *ret_name is then his name, until the next
 * basicauth_users_set(). Otherwise an error: wrong or unknown (both the same, in the same time), or
 * retryable when too much was wrong just now. */
int basicauth_users_check(struct basicauth_users *u, const char *name, const char *password,
                          const char **ret_name, struct error *error);

#endif
