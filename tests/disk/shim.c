/* For LD_PRELOAD: count, log and fail the calls that change files below one folder, over all threads of a process.

   What to do stands in a file that the test writes and that all processes map: struct disk, tests/disk/disk.py has its
   twin. The n-th call gets an error or ends the process as kill -9 does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define LINES 8192
#define LINE 512

struct disk {
    int armed;         /* nothing is counted while it is 0 */
    atomic_int calls;  /* counted so far */
    int fail_at;       /* the call that fails, from 1; 0: none */
    int error;         /* its errno; -1: SIGKILL, -2: SIGSTOP before it is done */
    int sticky;        /* all calls from fail_at on fail */
    int lost;          /* the call is done, and then said to have failed */
    int denied_error;  /* errno of the calls named in denied, always; they count too */
    char denied[64];
    char only[64];     /* only calls with this in a path are counted; "": all */
    char root[1024];
    char log[LINES][LINE];
};

static struct disk *disk;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("DISK_FAULTS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    disk = mapped == MAP_FAILED ? NULL : mapped;
    if (file >= 0) close(file);
}

/* Where a file is: of a descriptor, or of a path that may be relative to one. */
static void locate(char *out, int folder, const char *path) {
    char link[64];
    ssize_t length = 0;
    out[0] = 0;
    if (path && path[0] == '/') {
        snprintf(out, LINE, "%s", path);
        return;
    }
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    length = readlink(link, out, LINE - 1);
    out[length < 0 ? 0 : length] = 0;
    if (path && length > 0) snprintf(out + length, LINE - length, "/%s", path);
}

static int is_below(const char *path) {
    size_t length = strlen(disk->root);
    return !strncmp(path, disk->root, length) && (path[length] == '/' || !path[length]);
}

/* Count a call; return the errno that it gets, 0 for none. */
static int counted(const char *call, const char *path, const char *other) {
    int number, fails;
    if (!is_below(path) && !(other && is_below(other))) return 0;
    if (!strstr(path, disk->only) && !(other && strstr(other, disk->only))) return 0;
    number = atomic_fetch_add(&disk->calls, 1) + 1;
    if (number <= LINES) snprintf(disk->log[number - 1], LINE, "%s\t%.200s\t%.200s", call, path, other ? other : "");
    if (strstr(disk->denied, call)) return disk->denied_error;
    fails = disk->fail_at && (disk->sticky ? number >= disk->fail_at : number == disk->fail_at);
    if (fails && disk->error < 0) kill(getpid(), disk->error == -1 ? SIGKILL : SIGSTOP);
    return fails && disk->error > 0 ? disk->error : 0;
}

/* A folder's sync has a name of its own: there are file systems that refuse it alone. */
static const char *label_of(const char *call, int file) {
    struct stat found;
    return !strcmp(call, "fsync") && !fstat(file, &found) && S_ISDIR(found.st_mode) ? "sync folder" : call;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The body of a call: locate, count, do, and fail where that is its turn. */
#define GUARDED(name, type, label, locating, other, arguments)      \
    char path[LINE], second[LINE];                                  \
    int error = 0, before = errno;                                  \
    if (disk && disk->armed) {                                      \
        locating;                                                   \
        error = counted(label, path, other);                        \
    }                                                               \
    errno = before;                                                 \
    type done = error && !disk->lost ? -1 : REAL(name) arguments;   \
    if (error) {                                                    \
        errno = error;                                              \
        done = -1;                                                  \
    }                                                               \
    (void)second;                                                   \
    return done

#define OF_FILE(name, type, parameters, arguments) \
    type name parameters { GUARDED(name, type, label_of(#name, file), locate(path, file, NULL), NULL, arguments); }
#define OF_PATH(name, folder, parameters, arguments) \
    int name parameters { GUARDED(name, int, #name, locate(path, folder, at), NULL, arguments); }
#define OF_TWO(name, folder, folder2, parameters, arguments) \
    int name parameters { GUARDED(name, int, #name, locate(path, folder, at); locate(second, folder2, to), second, arguments); }

OF_FILE(write, ssize_t, (int file, const void *bytes, size_t count), (file, bytes, count))
OF_FILE(writev, ssize_t, (int file, const struct iovec *parts, int count), (file, parts, count))
OF_FILE(pwrite, ssize_t, (int file, const void *bytes, size_t count, off_t place), (file, bytes, count, place))
OF_FILE(fsync, int, (int file), (file))
OF_FILE(fdatasync, int, (int file), (file))
OF_FILE(ftruncate, int, (int file, off_t size), (file, size))
OF_PATH(unlink, AT_FDCWD, (const char *at), (at))
OF_PATH(unlinkat, folder, (int folder, const char *at, int flags), (folder, at, flags))
OF_PATH(rmdir, AT_FDCWD, (const char *at), (at))
OF_PATH(mkdir, AT_FDCWD, (const char *at, mode_t mode), (at, mode))
OF_PATH(mkdirat, folder, (int folder, const char *at, mode_t mode), (folder, at, mode))
OF_TWO(link, AT_FDCWD, AT_FDCWD, (const char *at, const char *to), (at, to))
OF_TWO(linkat, folder, folder2, (int folder, const char *at, int folder2, const char *to, int flags),
       (folder, at, folder2, to, flags))
OF_TWO(rename, AT_FDCWD, AT_FDCWD, (const char *at, const char *to), (at, to))
OF_TWO(renameat, folder, folder2, (int folder, const char *at, int folder2, const char *to), (folder, at, folder2, to))
OF_TWO(renameat2, folder, folder2, (int folder, const char *at, int folder2, const char *to, unsigned flags),
       (folder, at, folder2, to, flags))
