/* crypt(3) knows all forms but two of Apache's own: {SHA}, which is the SHA-1 of the password, and
 * $apr1$, the MD5 of BSD's crypt with another magic, by Poul-Henning Kamp's description. */
#include "extensions/basicauth/basicauth_hash.h"

#include "core/base/base64.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MD5_SIZE = 16, SHA1_SIZE = 20, APR1_SALT_MAX = 8, APR1_ROUNDS = 1000 };

static const char apr1_magic[] = "$apr1$";
static const char sha_magic[] = "{SHA}";

static bool begins_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

bool basicauth_hash_is_known(const char *hash)
{
	static const char *const magics[] = {"$2y$", "$2a$", "$2b$", "$1$", "$5$", "$6$", "$y$"};

	if (begins_with(hash, sha_magic))
		return strlen(hash) == sizeof sha_magic - 1 + BASE64_TEXT(SHA1_SIZE);
	if (begins_with(hash, apr1_magic))
		return strlen(hash) > sizeof apr1_magic - 1 + 22;
	for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
		if (begins_with(hash, magics[i]))
			return true;
	return false;
}

/* True when both are equal; the time depends on the length only. */
static bool same_text(const char *a, const char *b)
{
	size_t len = strlen(a);

	return strlen(b) == len && CRYPTO_memcmp(a, b, len) == 0;
}

/* ---- apr1 */

/* A digest whose failures stick. */
struct md5 {
	EVP_MD_CTX *context;
	bool failed;
};

static void md5_begin(struct md5 *m)
{
	m->failed = m->failed || EVP_DigestInit_ex(m->context, EVP_md5(), NULL) != 1;
}

static void md5_add(struct md5 *m, const void *data, size_t len)
{
	m->failed = m->failed || EVP_DigestUpdate(m->context, data, len) != 1;
}

static void md5_end(struct md5 *m, uint8_t ret[MD5_SIZE])
{
	m->failed = m->failed || EVP_DigestFinal_ex(m->context, ret, NULL) != 1;
}

/* The first digest: password, magic, salt, and what was chosen in 1994 to be slow. */
static void apr1_first(struct md5 *m, const char *password, const char *salt, size_t salt_len,
                       uint8_t sum[MD5_SIZE])
{
	size_t len = strlen(password);

	md5_begin(m);
	md5_add(m, password, len);
	md5_add(m, salt, salt_len);
	md5_add(m, password, len);
	md5_end(m, sum);
	md5_begin(m);
	md5_add(m, password, len);
	md5_add(m, apr1_magic, sizeof apr1_magic - 1);
	md5_add(m, salt, salt_len);
	for (size_t left = len; left; left -= left < MD5_SIZE ? left : MD5_SIZE)
		md5_add(m, sum, left < MD5_SIZE ? left : MD5_SIZE);
	for (size_t bits = len; bits; bits >>= 1)
		md5_add(m, bits & 1 ? "" : password, 1);
	md5_end(m, sum);
}

static void apr1_rounds(struct md5 *m, const char *password, const char *salt, size_t salt_len,
                        uint8_t sum[MD5_SIZE])
{
	size_t len = strlen(password);

	for (int i = 0; i < APR1_ROUNDS; i++) {
		const void *ends[2] = {sum, password};
		size_t lens[2] = {MD5_SIZE, len};
		md5_begin(m);
		md5_add(m, ends[i & 1], lens[i & 1]);
		if (i % 3)
			md5_add(m, salt, salt_len);
		if (i % 7)
			md5_add(m, password, len);
		md5_add(m, ends[!(i & 1)], lens[!(i & 1)]);
		md5_end(m, sum);
	}
}

static char *apr1_digits(uint32_t bits, int n, char *out)
{
	static const char digits[] =
		"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	for (; n > 0; n--, bits >>= 6)
		*out++ = digits[bits & 63];
	return out;
}

static void apr1_text(const uint8_t s[MD5_SIZE], char ret[23])
{
	for (int i = 0; i < 5; i++)
		ret = apr1_digits((uint32_t)s[i] << 16 | (uint32_t)s[i + 6] << 8 |
		                          s[i == 4 ? 5 : i + 12],
		                  4, ret);
	*apr1_digits(s[11], 2, ret) = '\0';
}

static int apr1_matches(const char *hash, const char *password, struct error *error)
{
	const char *salt = hash + sizeof apr1_magic - 1;
	size_t salt_len = strcspn(salt, "$");
	struct md5 m = {.context = EVP_MD_CTX_new()};
	uint8_t sum[MD5_SIZE];
	char text[23];
	bool matches;

	if (!m.context)
		return error_no_memory(error);
	if (salt_len > APR1_SALT_MAX)
		salt_len = APR1_SALT_MAX;
	apr1_first(&m, password, salt, salt_len, sum);
	apr1_rounds(&m, password, salt, salt_len, sum);
	EVP_MD_CTX_free(m.context);
	apr1_text(sum, text);
	matches = salt[salt_len] == '$' && same_text(salt + salt_len + 1, text);
	return m.failed ? error_no_memory(error) : matches;
}

/* ---- the others */

static int sha_matches(const char *hash, const char *password, struct error *error)
{
	char text[BASE64_TEXT(SHA1_SIZE) + 1];
	uint8_t sum[SHA1_SIZE];
	size_t size = sizeof sum;

	if (EVP_Q_digest(NULL, "SHA1", NULL, password, strlen(password), sum, &size) != 1)
		return error_no_memory(error);
	text[base64_encode(slice_of(sum, sizeof sum), true, text)] = '\0';
	return same_text(hash + sizeof sha_magic - 1, text);
}

int basicauth_hash_matches(const char *hash, const char *password, struct error *error)
{
	struct crypt_data *data;
	const char *text;
	bool matches;

	if (begins_with(hash, sha_magic))
		return sha_matches(hash, password, error);
	if (begins_with(hash, apr1_magic))
		return apr1_matches(hash, password, error);
	data = calloc(1, sizeof *data); /* 32 KiB */
	if (!data)
		return error_no_memory(error);
	text = crypt_r(password, hash, data);
	matches = text && *text != '*' && same_text(hash, text);
	OPENSSL_cleanse(data, sizeof *data);
	free(data);
	return matches;
}
