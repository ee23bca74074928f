/* main.c - program millrace-verify, which users start as `millrace verify`. */
#include <stdio.h>

#include "capture-worker/verify/verify.h"

int
main(int argc, char **argv)
{
	struct ml_vf_options o;
	struct ml_err err = { 0 };
	char text[1200];
	int rc = ml_vf_options_read(&o, argc, argv, &err);

	if (rc == 0)
		rc = ml_vf_run(&o, &err);
	else if (rc > 0)
		rc = 0; /* --help */
	ml_vf_options_fini(&o);
	if (rc >= 0)
		return rc;
	fprintf(stderr, "Error: %s%s%s\n", err.where, err.where[0] != '\0' ? ": " : "",
		ml_err_print(&err, text, sizeof(text)));
	return 2;
}
