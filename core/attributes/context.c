#include "core/attributes/context.h"

#include <strings.h>

/* The address without the port. */
static struct slice peer_host(const char *peer)
{
	const char *colon = strrchr(peer, ':');
	size_t len = strlen(peer);

	if (*peer == '[' && strchr(peer, ']'))
		return slice_of(peer + 1, (size_t)(strchr(peer, ']') - peer - 1));
	/* an IPv6 address without brackets has no port */
	if (colon && strchr(peer, ':') == colon)
		len = (size_t)(colon - peer);
	return slice_of(peer, len);
}

static bool append_metadata(const struct batch_origin *origin, const char *name, struct buffer *out)
{
	bool found = false;

	for (size_t i = 0; i < origin->n_metadata; i++) {
		if (strcasecmp(origin->metadata[i].name, name) != 0)
			continue;
		if (found)
			buffer_append_byte(out, ';');
		buffer_append_string(out, origin->metadata[i].value);
		found = true;
	}
	return found;
}

/* What the authenticators of weir know of a client is who it is. */
static bool append_identity(const struct batch_origin *origin, const char *name, struct buffer *out)
{
	if (!origin->identity || (strcmp(name, "username") != 0 && strcmp(name, "subject") != 0))
		return false;
	buffer_append_string(out, origin->identity);
	return true;
}

bool context_append(const struct batch_origin *origin, const char *name, struct buffer *out)
{
	if (strcmp(name, "client.address") == 0) {
		if (origin->peer)
			buffer_append_slice(out, peer_host(origin->peer));
		return origin->peer != NULL;
	}
	if (strncmp(name, "auth.", 5) == 0)
		return append_identity(origin, name + 5, out);
	if (strncmp(name, "metadata.", 9) == 0)
		name += 9;
	return append_metadata(origin, name, out);
}
