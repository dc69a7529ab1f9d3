/* SPDX-License-Identifier: MIT */
/*
 * Slice: cut the endless trace of a driver into one trace a run.
 *
 *	slice DIR < TRACE
 *
 * Each fork of the process that was attached first begins a run: its records go to
 * DIR/i/trace.part, behind a copy of the header, and the file is called DIR/i/trace
 * once it is whole.  The seq of a slice begins where it begins in the whole.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	const char *dir;
	FILE *out;
	char *header;
	long run;		/* -1: before the first */
	int driver;		/* process id; 0: not known yet */
} s = { .run = -1 };

static bool starts(const char *line, const char *with)
{
	return !strncmp(line, with, strlen(with));
}

static int pid_of(const char *line)
{
	const char *p = strstr(line, ",\"pid\":");

	return p ? (int)strtol(p + 7, NULL, 10) : 0;
}

static bool finish(void)
{
	char part[4096], whole[4096];

	if (!s.out)
		return true;
	snprintf(part, sizeof(part), "%s/%ld/trace.part", s.dir, s.run);
	snprintf(whole, sizeof(whole), "%s/%ld/trace", s.dir, s.run);
	if (fclose(s.out) || rename(part, whole) < 0) {
		perror(part);
		return false;
	}
	s.out = NULL;
	return true;
}

static bool begin(void)
{
	char part[4096];

	if (!finish())
		return false;
	s.run++;
	snprintf(part, sizeof(part), "%s/%ld/trace.part", s.dir, s.run);
	s.out = fopen(part, "w");
	if (!s.out || fputs(s.header, s.out) < 0) {
		perror(part);
		return false;
	}
	return true;
}

static bool take(const char *line, size_t len)
{
	if (!s.header) {
		s.header = strdup(line);
		return s.header;
	}
	if (!s.driver && starts(line, "{\"ev\":\"attach\""))
		s.driver = pid_of(line);
	if (starts(line, "{\"ev\":\"fork\"") && pid_of(line) == s.driver && !begin())
		return false;
	return !s.out || fwrite(line, len, 1, s.out) == 1;
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t room = 0;
	bool good = true;
	ssize_t n;

	if (argc != 2)
		return 2;
	s.dir = argv[1];
	/* To the end in any case: whoever writes the trace shall not wait for us. */
	while ((n = getline(&line, &room, stdin)) > 0)
		good = good && take(line, (size_t)n);
	good = good && finish();
	free(line);
	free(s.header);
	return !good;
}
