#include "core/net/http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

void http_client_where(const char *text, char *ret, size_t size)
{
	char *host = NULL, *port = NULL;
	CURLU *url = curl_url();

	if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
		snprintf(ret, size, "%s:%s", host, port);
	else
		snprintf(ret, size, "the server");
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(url);
}

int http_client_url_check(const char *what, const char *text, struct error *error)
{
	const char *authority = strstr(text, "://");
	char *scheme = NULL, *host = NULL;
	CURLU *url = curl_url();
	CURLUcode code;
	int r = 0;

	if (!url)
		return error_no_memory(error);
	code = curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_HOST, &host, 0);
	if (code == CURLUE_OUT_OF_MEMORY)
		r = error_no_memory(error);
	else if (code == CURLUE_BAD_SCHEME || !authority ||
	         (code == CURLUE_OK && strcasecmp(scheme, "http") != 0 &&
	          strcasecmp(scheme, "https") != 0))
		r = error_set(error, -EINVAL,
		              "%s must be a valid URL: it begins with http:// or https://", what);
	else if (code != CURLUE_OK)
		r = error_set(error, -EINVAL, "%s must be a valid URL: %s", what,
		              curl_url_strerror(code));
	else if (authority[3] == '/') /* libcurl would go on to what follows */
		r = error_set(error, -EINVAL, "%s must be a valid URL: No host part in the URL",
		              what);
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(url);
	return r;
}
