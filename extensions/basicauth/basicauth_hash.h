/* basicauth, private: the hashes of Apache's htpasswd. */
#ifndef WEIR_EXTENSIONS_BASICAUTH_HASH_H
#define WEIR_EXTENSIONS_BASICAUTH_HASH_H

#include "core/base/error.h"

enum { PASSWORD_MAX = 511 }; /* crypt(3) takes no more */

/* Whether it is a hash that basicauth_hash_matches() can compute: bcrypt ($2y$, $2a$, $2b$),
 * apr1 and MD5 ($apr1$, $1$), SHA-256 and SHA-512 ($5$, $6$), yescrypt ($y$), and {SHA}. Plain text
 * and the old DES are none. */
bool basicauth_hash_is_known(const char *hash);

/* Whether the password, of at most PASSWORD_MAX bytes, has that hash. Takes as long as the hash
 * costs, whatever the password is. Negative: no memory (retryable). */
int basicauth_hash_matches(const char *hash, const char *password, struct error *error);

#endif
