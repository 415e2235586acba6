// A ClickHouse server: the library's `clickhouse local`, told to listen, and kept by a query that reads what never comes.
// Arguments as of `clickhouse local`: --path, --listen_host, --tcp_port, --http_port. Ends with SIGTERM or with its parent.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

// chdb.h of the library, which its package has not.
void *chdb_query_cmdline(int argc, char **argv);
const char *chdb_result_error(void *result);

static char statements[] =
    "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; SELECT * FROM file('/dev/stdin', LineAsString)";

int main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int ends[2];
	// The end that writes stays open and unused.
	if (pipe(ends) != 0 || dup2(ends[0], STDIN_FILENO) < 0) {
		perror("pipe");
		return 1;
	}
	char **arguments = calloc((size_t)argc + 3, sizeof *arguments);
	if (arguments == NULL)
		return 1;
	memcpy(arguments, argv, (size_t)argc * sizeof *arguments);
	arguments[argc] = "--query";
	arguments[argc + 1] = statements;
	void *result = chdb_query_cmdline(argc + 2, arguments);
	const char *error = chdb_result_error(result);
	fprintf(stderr, "%s\n", error == NULL ? "ended" : error);
	return 1;
}
