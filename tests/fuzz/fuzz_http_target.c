/* fuzz_http_target.c - request targets: splitting, decoding, routing, query values, and the way back for redirects. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api-gateway/api/api.h"
#include "api-gateway/http/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *target = malloc(size + 1), *path, *query, *again, *text;

	if (target == NULL)
		return 0;
	memcpy(target, data, size);
	target[size] = '\0';
	if (ml_http_split(target, &path, &query) == 0) {
		struct ml_http_match m;

		text = ml_http_path_escape(path);
		if (path[0] == '/') {
			char *q2;

			if (ml_http_split(text, &again, &q2) < 0 || strcmp(again, path) != 0)
				abort();
			free(again);
			free(q2);
		}
		free(text);
		free(ml_http_query_get(query, "state"));
		ml_http_route(ml_api_routes, ml_api_n_routes, size > 0 ? data[0] : 1, path, &m);
		free(path);
		free(query);
	}
	free(target);
	return 0;
}
