/* SPDX-License-Identifier: Apache-2.0 */
/* floor_http PORT: libmicrohttpd saying hello, with as many threads as jeoul-web has */
#include "base/attr.h"
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_THREADS = 4, CONNECTIONS_MOST = 256 };

static enum MHD_Result
hello(void *unused_context unused, struct MHD_Connection *connection,
    const char *unused_url unused, const char *unused_method unused,
    const char *unused_version unused, const char *unused_data unused,
    size_t *unused_size unused, void **slot)
{
	static char text[] = "hello\n";
	struct MHD_Response *r;
	enum MHD_Result result;

	if (*slot == NULL) { /* an answer before the request's end would end the
				connection */
		*slot = text;
		return MHD_YES;
	}
	r = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_PERSISTENT);
	if (r == NULL)
		return MHD_NO;
	result = MHD_queue_response(connection, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return result;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct MHD_Daemon *daemon;
	char line[8];

	if (argc != 2) {
		(void)fprintf(stderr, "usage: floor_http PORT\n");
		return 2;
	}
	at.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0,
	    NULL, NULL, hello, NULL, MHD_OPTION_SOCK_ADDR, &at,
	    MHD_OPTION_THREAD_POOL_SIZE, POOL_THREADS, MHD_OPTION_CONNECTION_LIMIT,
	    CONNECTIONS_MOST, MHD_OPTION_END);
	if (daemon == NULL) {
		perror("floor_http");
		return 1;
	}
	(void)puts("ready");
	(void)fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL)
		continue;
	MHD_stop_daemon(daemon);
	return 0;
}
