/* SPDX-License-Identifier: MIT */
/*
 * Symbols: of this program itself, whole, stripped, replaced and gone.
 *
 * link: -Wl,--build-id=sha1
 */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "report/symbols-parts.h"
#include "suite.h"

static char dir[] = "/tmp/test-symbols-XXXXXX";
static uint8_t id[20];
static uint64_t base;

static void *inner_at, *outer_at;
static uint32_t inner_line, outer_line;

/* The address after these is asked for; the lines are those of the calls. */
static inline __attribute__((always_inline)) void inlined_one(void)
{
	inner_line = __LINE__ + 1;
	__asm__ volatile("lea 0(%%rip), %0" : "=r"(inner_at) : : "memory");
}

static __attribute__((noinline)) void known_function(void)
{
	outer_line = __LINE__ + 1;
	inlined_one();
	__asm__ volatile("lea 0(%%rip), %0" : "=r"(outer_at) : : "memory");
}

static int note(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	if (info->dlpi_name[0])
		return 0;
	base = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const char *p = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
		const ElfW(Nhdr) *n;

		if (info->dlpi_phdr[i].p_type != PT_NOTE)
			continue;
		for (size_t at = 0; at < info->dlpi_phdr[i].p_memsz;) {
			n = (const void *)(p + at);
			at += sizeof(*n) + ((n->n_namesz + 3u) & ~3u);
			if (n->n_type == NT_GNU_BUILD_ID && n->n_descsz == sizeof(id))
				memcpy(id, p + at, sizeof(id));
			at += (n->n_descsz + 3u) & ~3u;
		}
	}
	return 1;
}

static int run(char *const argv[])
{
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ))
		return -1;
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static const char *at(const char *name)
{
	static char path[32][256];
	static unsigned int i;
	char *p = path[i++ % 32];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void copy_self(const char *to)
{
	_free_ char *exe = realpath("/proc/self/exe", NULL);

	CU_ASSERT_EQUAL(run((char *[]){ "cp", exe, (char *)to, NULL }), 0);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static struct symbols *with(const struct symbols_options *o)
{
	struct symbols *s = NULL;

	CU_ASSERT_EQUAL_FATAL(symbols_new(&s, o), 0);
	return s;
}

static struct symbols_where where(const char *path, bool with_id)
{
	return (struct symbols_where){
		.name = path, .name_len = strlen(path), .build_id = id,
		.build_id_len = with_id ? sizeof(id) : 0, .lo = base, .pid = getpid(),
	};
}

static const struct symbol *find(struct symbols *s, const struct symbols_where *w, void *addr,
				 bool caller, size_t *ret_n)
{
	const struct symbol *found = NULL;

	CU_ASSERT_EQUAL_FATAL(symbols_find(s, w, (uint64_t)addr, caller, &found, ret_n), 0);
	return found;
}

static enum symbols_state state_of(struct symbols *s, size_t i)
{
	struct symbols_module m;

	CU_ASSERT_TRUE_FATAL(symbols_module(s, i, &m));
	return m.state;
}

/*
 * The offset in the file is taken for the address less its base: so it is where the linker
 * keeps both equal, and else the file's own table says.
 */
static uint64_t offset_of(const void *addr)
{
	ElfW(Ehdr) eh;
	ElfW(Phdr) ph;
	uint64_t v = (uint64_t)addr - base, ret = 0;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	CU_ASSERT_EQUAL_FATAL(pread(fd, &eh, sizeof(eh), 0), sizeof(eh));
	for (int i = 0; i < eh.e_phnum; i++) {
		CU_ASSERT_EQUAL_FATAL(pread(fd, &ph, sizeof(ph),
				      (off_t)(eh.e_phoff + (uint64_t)i * sizeof(ph))), sizeof(ph));
		if (ph.p_type == PT_LOAD && v - ph.p_vaddr < ph.p_filesz)
			ret = v - ph.p_vaddr + ph.p_offset;
	}
	close(fd);
	return ret;
}

/* A mapping of which addr is at the right place of the file. */
static struct symbols_where code(const char *path, bool with_id, void *addr)
{
	struct symbols_where w = where(path, with_id);
	uint64_t off = offset_of(addr);

	w.lo = (uint64_t)addr & ~UINT64_C(4095);
	w.off = off - ((uint64_t)addr - w.lo);
	return w;
}

static void test_lines(void)
{
	struct symbols *s = with(&(struct symbols_options){ 0 });
	_free_ char *exe = realpath("/proc/self/exe", NULL);
	struct symbols_where w = code(exe, true, inner_at);
	const struct symbol *f, *g;
	size_t n = 0;

	f = find(s, &w, inner_at, true, &n);
	CU_ASSERT_EQUAL_FATAL(n, 2);
	CU_ASSERT_STRING_EQUAL(f[0].function, "inlined_one");
	CU_ASSERT_TRUE(f[0].inlined && f[0].known && !f[1].inlined);
	CU_ASSERT_EQUAL(f[0].line, inner_line);
	CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(f[0].file, "test-symbols.c"));
	CU_ASSERT_STRING_EQUAL(f[1].function, "known_function");
	CU_ASSERT_EQUAL(f[1].line, outer_line);
	CU_ASSERT_STRING_EQUAL(f[1].module, "test-symbols");
	w = code(exe, true, outer_at);
	g = find(s, &w, outer_at, true, &n);
	CU_ASSERT_EQUAL(n, 1);
	CU_ASSERT_PTR_EQUAL(g[0].function, f[1].function);
	CU_ASSERT_TRUE(g[0].offset < 200);
	CU_ASSERT_EQUAL(state_of(s, 0), SYMBOLS_LINES);
	/* Asked twice, found once. */
	CU_ASSERT_PTR_EQUAL(find(s, &w, outer_at, true, &n), g);
	symbols_free(s);
}

static void test_separate(void)
{
	struct symbols *s;
	struct symbols_where w = code(at("prog"), true, inner_at);
	char debug[300], top[280];
	const struct symbol *f;
	size_t n;

	copy_self(at("prog"));
	snprintf(top, sizeof(top), "%s/debug/.build-id/%02x", dir, id[0]);
	CU_ASSERT_EQUAL(run((char *[]){ "mkdir", "-p", top, NULL }), 0);
	n = (size_t)snprintf(debug, sizeof(debug), "%s/", top);
	for (size_t i = 1; i < sizeof(id); i++)
		n += (size_t)snprintf(debug + n, sizeof(debug) - n, "%02x", id[i]);
	snprintf(debug + n, sizeof(debug) - n, ".debug");
	CU_ASSERT_EQUAL(run((char *[]){ "objcopy", "--only-keep-debug", (char *)at("prog"), debug,
					NULL }), 0);
	CU_ASSERT_EQUAL(run((char *[]){ "strip", (char *)at("prog"), NULL }), 0);
	s = with(&(struct symbols_options){ .debug = at("debug") });
	f = find(s, &w, inner_at, true, &n);
	CU_ASSERT_EQUAL(n, 2);
	CU_ASSERT_STRING_EQUAL(f[0].function, "inlined_one");
	CU_ASSERT_EQUAL(state_of(s, 0), SYMBOLS_LINES);
	symbols_free(s);

	/* A debug file of another build is none. */
	CU_ASSERT_EQUAL(run((char *[]){ "objcopy", "--remove-section=.note.gnu.build-id", debug,
					NULL }), 0);
	s = with(&(struct symbols_options){ .debug = at("debug") });
	f = find(s, &w, inner_at, true, &n);
	CU_ASSERT_STRING_NOT_EQUAL(f[0].function, "inlined_one");
	CU_ASSERT_NOT_EQUAL(state_of(s, 0), SYMBOLS_LINES);
	symbols_free(s);
}

static void test_names(void)
{
	struct symbols *s = with(&(struct symbols_options){ .debug = at("nothing") });
	struct symbols_where w = code(at("names"), true, outer_at);
	const struct symbol *f;
	size_t n;

	copy_self(at("names"));
	CU_ASSERT_EQUAL(run((char *[]){ "strip", "-g", (char *)at("names"), NULL }), 0);
	f = find(s, &w, outer_at, true, &n);
	CU_ASSERT_EQUAL(n, 1);
	CU_ASSERT_STRING_EQUAL(f[0].function, "known_function");
	CU_ASSERT_TRUE(f[0].known && !f[0].line && !f[0].file);
	CU_ASSERT_EQUAL(state_of(s, 0), SYMBOLS_NAMES);
	symbols_free(s);
}

static void test_replaced(void)
{
	struct symbols *s = with(&(struct symbols_options){ 0 });
	struct symbols_where w = code(at("new"), true, outer_at);
	const struct symbol *f;
	struct stat st;
	size_t n;

	copy_self(at("new"));
	id[3] ^= 1;
	f = find(s, &w, outer_at, true, &n);
	id[3] ^= 1;
	CU_ASSERT_STRING_EQUAL(f[0].function, "new (build id differs)");
	CU_ASSERT_FALSE(f[0].known);
	CU_ASSERT_EQUAL(f[0].offset, offset_of(outer_at) - 1);

	/* Without a build id it is the inode that tells. */
	w = code(at("new"), false, outer_at);
	CU_ASSERT_EQUAL(stat(at("new"), &st), 0);
	w.ino = st.st_ino + 1;
	f = find(s, &w, outer_at, true, &n);
	CU_ASSERT_STRING_EQUAL(f[0].function, "new");
	w.ino = st.st_ino;
	f = find(s, &w, outer_at, true, &n);
	CU_ASSERT_STRING_EQUAL(f[0].function, "known_function");

	/* A name of the dead is looked for by its build alone. */
	w = code(at("new (deleted)"), true, outer_at);
	f = find(s, &w, outer_at, true, &n);
	CU_ASSERT_STRING_EQUAL(f[0].function, "known_function");
	CU_ASSERT_STRING_EQUAL(f[0].module, "new");
	w = code(at("never"), true, outer_at);
	f = find(s, &w, outer_at, true, &n);
	CU_ASSERT_STRING_EQUAL(f[0].function, "never");
	CU_ASSERT_EQUAL(state_of(s, 4), SYMBOLS_GONE);
	symbols_free(s);
}

static void test_root(void)
{
	struct symbols *s = with(&(struct symbols_options){ .root = dir });
	static const char *const led[] = {
		"/bin/prog", "/bin/up", "/folder/up", "/folder//prog", "/../inside",
	};
	static const char *const lost[] = {
		"/circle", "/circle/prog", "/out", "/folder", "/bin/prog/inside", "/bin/", "/",
	};
	struct symbols_where w;
	const struct symbol *f;
	size_t n;

	CU_ASSERT_EQUAL(mkdir(at("bin"), 0755), 0);
	copy_self(at("inside"));
	/* In there the link leads to the file in there, and nothing leads out. */
	CU_ASSERT_EQUAL(symlink("/inside", at("bin/prog")), 0);
	CU_ASSERT_EQUAL(symlink("../../../bin/../bin/prog", at("bin/up")), 0);
	CU_ASSERT_EQUAL(symlink("bin/.", at("folder")), 0);
	CU_ASSERT_EQUAL(symlink("circle", at("circle")), 0);
	CU_ASSERT_EQUAL(symlink("/dev/null", at("out")), 0);
	for (size_t i = 0; i < sizeof(led) / sizeof(*led); i++) {
		w = code(led[i], true, outer_at);
		f = find(s, &w, outer_at, true, &n);
		CU_ASSERT_STRING_EQUAL(f[0].function, "known_function");
	}
	for (size_t i = 0; i < sizeof(lost) / sizeof(*lost); i++) {
		w = code(lost[i], true, outer_at);
		CU_ASSERT_FALSE(find(s, &w, outer_at, true, &n)->known);
	}
	symbols_free(s);
}

static void test_no_device(void)
{
	struct symbols *s = with(&(struct symbols_options){ 0 });
	static const char *const names[] = { "/dev/zero", "/tmp", "relative", "" };
	struct symbols_where w;
	const struct symbol *f;
	size_t n;

	CU_ASSERT_EQUAL(mkfifo(at("fifo"), 0600), 0);
	w = code(at("fifo"), true, outer_at);
	f = find(s, &w, outer_at, true, &n);
	CU_ASSERT_STRING_EQUAL(f[0].function, "fifo");
	for (size_t i = 0; i < 4; i++) {
		w = code(names[i], true, outer_at);
		f = find(s, &w, outer_at, true, &n);
		CU_ASSERT_FALSE(f[0].known);
	}
	CU_ASSERT_STRING_EQUAL(f[0].function, "anon");
	symbols_free(s);
	s = with(&(struct symbols_options){ .off = true });
	w = code(at("names"), true, outer_at);
	f = find(s, &w, outer_at, true, &n);
	CU_ASSERT_STRING_EQUAL(f[0].function, "names");
	symbols_free(s);
}

static void test_perf_map(void)
{
	static const char map[] = "7f0000001000 100 LazyCompile:~fill /app/x.js:3\n"
				  "nonsense\n"
				  "0x7f0000002000 0x80 old\n"
				  "7f0000002000 40 new\n"
				  "7f0000003000 10 \x1b[31mred\xff\n"
				  "ffffffffffffffff 10 wraps\n"
				  "7f0000004000 10 half a li";
	struct lexicon *words = NULL;
	struct symbols_perf *p = NULL;
	uint64_t lo = 0;

	CU_ASSERT_EQUAL_FATAL(lexicon_new(&words), 0);
	CU_ASSERT_EQUAL_FATAL(symbols_perf_parse(&p, map, sizeof(map) - 1, words), 0);
	CU_ASSERT_STRING_EQUAL(symbols_perf_find(p, 0x7f00000010ff, &lo),
			       "LazyCompile:~fill /app/x.js:3");
	CU_ASSERT_EQUAL(lo, 0x7f0000001000);
	CU_ASSERT_PTR_NULL(symbols_perf_find(p, 0x7f0000001100, &lo));
	CU_ASSERT_STRING_EQUAL(symbols_perf_find(p, 0x7f000000203f, &lo), "new");
	CU_ASSERT_STRING_EQUAL(symbols_perf_find(p, 0x7f0000002040, &lo), "old");
	CU_ASSERT_STRING_EQUAL(symbols_perf_find(p, 0x7f0000003001, &lo), "\\033[31mred\\377");
	CU_ASSERT_PTR_NULL(symbols_perf_find(p, 0x7f0000004001, &lo));
	CU_ASSERT_PTR_NULL(symbols_perf_find(p, 0, &lo));
	symbols_perf_close(p);
	lexicon_free(words);
}

static void test_perf_file(void)
{
	struct symbols *s = with(&(struct symbols_options){ .root = dir });
	struct symbols_where w = { .lo = 0x10000, .pid = 77 };
	const struct symbol *f;
	size_t n;

	CU_ASSERT_EQUAL(mkdir(at("tmp"), 0755), 0);
	write_file(at("tmp/perf-77.map"), "10000 100 made_up\n");
	f = find(s, &w, (void *)0x10008, false, &n);
	CU_ASSERT_STRING_EQUAL(f[0].function, "made_up");
	CU_ASSERT_EQUAL(f[0].offset, 8);
	CU_ASSERT_STRING_EQUAL(f[0].module, "anon");
	/* No link is followed, and nobody else's file believed. */
	CU_ASSERT_EQUAL(symlink("perf-77.map", at("tmp/perf-78.map")), 0);
	w.pid = 78;
	CU_ASSERT_FALSE(find(s, &w, (void *)0x10008, false, &n)->known);
	write_file(at("tmp/perf-79.map"), "10000 100 foreign\n");
	w.pid = 79;
	if (!chown(at("tmp/perf-79.map"), 12345, 12345))
		CU_ASSERT_FALSE(find(s, &w, (void *)0x10008, false, &n)->known);
	w = (struct symbols_where){ .name = "[vdso]", .name_len = 6, .lo = 0x10000, .pid = 77 };
	f = find(s, &w, (void *)0x10008, false, &n);
	CU_ASSERT_STRING_EQUAL(f[0].function, "[vdso]");
	symbols_free(s);
}

static void test_demangle(void)
{
	static const char *const names[][2] = {
		{ "_ZNSt6vectorIiSaIiEE9push_backERKi",
		  "std::vector<int, std::allocator<int> >::push_back" },
		{ "_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write" },
		{ "_RNvC6_123foo3bar", "123foo::bar" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_free_ char *text = symbols_demangle(names[i][0]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		CU_ASSERT_STRING_EQUAL(text, names[i][1]);
	}
	CU_ASSERT_PTR_NULL(symbols_demangle("main"));
	CU_ASSERT_PTR_NULL(symbols_demangle("_Zgarbage"));
}

static void test_many(void)
{
	struct symbols *s = with(&(struct symbols_options){ 0 });
	_free_ char *exe = realpath("/proc/self/exe", NULL);
	struct symbols_where w = code(exe, true, outer_at);
	const struct symbol *f;
	size_t n, known = 0;

	for (unsigned int i = 0; i < 1000000; i++) {
		f = find(s, &w, (char *)w.lo + i % 4096, false, &n);
		known += f[0].known;
	}
	CU_ASSERT_TRUE(known > 500000);
	symbols_free(s);
}

static const struct suite_test tests[] = {
	{ "functions, what was inlined, source lines", test_lines },
	{ "debug file of its own, by build id", test_separate },
	{ "a table of names alone", test_names },
	{ "another file is not used", test_replaced },
	{ "files below a root", test_root },
	{ "no device, no fifo, no directory", test_no_device },
	{ "the lines of a perf map", test_perf_map },
	{ "whose perf map is believed", test_perf_file },
	{ "C++ and Rust names", test_demangle },
	{ "a million questions", test_many },
};

int main(void)
{
	char *const rm[] = { "rm", "-rf", dir, NULL };
	int r;

	if (!mkdtemp(dir))
		return 1;
	dl_iterate_phdr(note, NULL);
	known_function();
	r = suite_run("symbols", tests, sizeof(tests) / sizeof(*tests));
	run(rm);
	return r;
}
