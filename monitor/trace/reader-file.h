/* SPDX-License-Identifier: MIT */
/*
 * Reader, file: the lines of a trace, plain or compressed, one after another.
 *
 * Knows descriptors and zstd, nothing of JSON.  Holds one line and one block in
 * memory, however large the file.  Compression is told by the first bytes, not by
 * the name.
 */
#ifndef TRACE_READER_FILE_H
#define TRACE_READER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader_file;

/* path "-" is standard input.  -errno of open(2), -EISDIR, -ENOMEM. */
int reader_file_open(struct reader_file **ret, const char *path);
/* As reader_file_open(), of a descriptor, which it takes over if it succeeds. */
int reader_file_take(struct reader_file **ret, int fd);
/*
 * 1 and the next line without its newline, good until the next call; 0 at the end;
 * -EMSGSIZE: a line longer than READER_LINE_MAX, the next call goes on behind it;
 * -EILSEQ: the compressed data is damaged; -errno of read(2).
 */
int reader_file_next(struct reader_file *f, const char **ret_line, size_t *ret_len);
/* Number of the line last returned, from 1. */
uint64_t reader_file_line(const struct reader_file *f);
/*
 * After the end: was the last line, or the last frame, cut off?  *ret_offset is where
 * in the (uncompressed) bytes the last whole line ends.
 */
bool reader_file_cut(const struct reader_file *f, uint64_t *ret_offset);
/* Bytes of the file read so far, as they lie there, and its size; 0: it has none. */
void reader_file_progress(const struct reader_file *f, uint64_t *ret_done, uint64_t *ret_total);
/* NULL in, NULL out. */
struct reader_file *reader_file_close(struct reader_file *f);

#endif
