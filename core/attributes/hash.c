#include "core/attributes/hash.h"

#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct hash {
	EVP_MD *method; /* found once: to look it up costs more than to hash an attribute */
	EVP_MD_CTX *state;
};

int hash_new(struct hash **ret, struct error *error)
{
	struct hash *h = calloc(1, sizeof *h);

	if (!h)
		return error_no_memory(error);
	h->method = EVP_MD_fetch(NULL, "SHA256", NULL);
	h->state = EVP_MD_CTX_new();
	if (!h->method || !h->state) {
		hash_free(h);
		return error_no_memory(error);
	}
	*ret = h;
	return 0;
}

void hash_free(struct hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->state);
	EVP_MD_free(h->method);
	free(h);
}

/* The bytes that stand for a value; numbers are written to room. False: none do. */
static bool bytes_of(const Otlp__AnyValue *v, uint8_t room[8], struct slice *ret)
{
	uint64_t number = 0;

	switch (v ? v->value_case : OTLP__ANY_VALUE__VALUE__NOT_SET) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		*ret = slice_of(v->string_value.data, v->string_value.len);
		return true;
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
		room[0] = v->bool_value ? 1 : 0;
		*ret = slice_of(room, 1);
		return true;
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
		number = (uint64_t)v->int_value;
		break;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		memcpy(&number, &v->double_value, sizeof number);
		break;
	default:
		return false;
	}
	number = htole64(number);
	memcpy(room, &number, sizeof number);
	*ret = slice_of(room, sizeof number);
	return true;
}

int hash_value(struct hash *h, const Otlp__AnyValue *v, struct arena *arena, Otlp__AnyValue *ret)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t room[8], sum[EVP_MAX_MD_SIZE];
	struct slice bytes;
	unsigned len = 0;
	uint8_t *text;

	otlp__any_value__init(ret);
	ret->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	ret->string_value = (ProtobufCBinaryData){.data = (uint8_t *)"", .len = 0};
	if (!bytes_of(v, room, &bytes))
		return 1;
	if (EVP_DigestInit_ex2(h->state, h->method, NULL) != 1 ||
	    EVP_DigestUpdate(h->state, bytes.data, bytes.len) != 1 ||
	    EVP_DigestFinal_ex(h->state, sum, &len) != 1)
		return -ENOMEM;
	text = arena_alloc(arena, 2 * (size_t)len);
	if (!text)
		return -ENOMEM;
	for (unsigned i = 0; i < len; i++) {
		text[2 * i] = (uint8_t)digits[sum[i] >> 4];
		text[2 * i + 1] = (uint8_t)digits[sum[i] & 15];
	}
	ret->string_value = (ProtobufCBinaryData){.data = text, .len = 2 * (size_t)len};
	return 1;
}
