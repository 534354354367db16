/* Keeps in SHADOW_KEPT what a power cut would leave of SHADOW_ROOT: loaded before libc, it copies a file when it is
 * synced and lists a directory when that is synced. What was never synced is not there, names included.
 *
 *   SHADOW_KEPT/file.ID   the bytes of a file at its last fsync or fdatasync
 *   SHADOW_KEPT/dir.ID    the names in a directory at its last fsync, a line each: d|f, ID, name
 *
 * ID is inode and time of birth, so that a reused inode is another file. sync_file_range promises nothing about a
 * power cut (sync_file_range(2)), so it keeps nothing. The real sync is left out: the test kills the process, not the
 * machine. Reading the whole file at each sync also sees writes through mmap and raw system calls. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what) {
    perror(what);
    abort();
}

static int identify(int directory, const char *name, int flags, char id[64], mode_t *mode) {
    struct statx s;
    if (statx(directory, name, flags | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME | STATX_TYPE, &s) != 0) return -1;
    snprintf(id, 64, "%llu-%lld-%u", (unsigned long long)s.stx_ino, (long long)s.stx_btime.tv_sec, s.stx_btime.tv_nsec);
    *mode = s.stx_mode;
    return 0;
}

/* Copies what holds data; holes stay holes. */
static void copy(int from, int to) {
    static char buffer[1 << 20];
    off_t end = lseek(from, 0, SEEK_END), at = 0;
    if (ftruncate(to, end) != 0) fail("shadow: ftruncate");
    while ((at = lseek(from, at, SEEK_DATA)) >= 0 && at < end) {
        off_t hole = lseek(from, at, SEEK_HOLE);
        while (at < hole) {
            size_t want = (size_t)(hole - at) < sizeof buffer ? (size_t)(hole - at) : sizeof buffer;
            ssize_t got = pread(from, buffer, want, at);
            if (got <= 0 || pwrite(to, buffer, (size_t)got, at) != got) fail("shadow: copy");
            at += got;
        }
    }
}

static void list(int fd, FILE *to) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    DIR *directory = opendir(path);
    if (!directory) fail("shadow: opendir");
    for (struct dirent *entry; (entry = readdir(directory));) {
        char id[64];
        mode_t mode;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (identify(dirfd(directory), entry->d_name, 0, id, &mode) == 0)
            fprintf(to, "%c %s %s\n", S_ISDIR(mode) ? 'd' : 'f', id, entry->d_name);
    }
    closedir(directory);
}

static int keep(int fd) {
    const char *root = getenv("SHADOW_ROOT"), *kept = getenv("SHADOW_KEPT");
    char link[64], path[PATH_MAX], fresh[PATH_MAX], final[PATH_MAX], id[64];
    mode_t mode;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return -1;
    path[length] = 0;
    size_t under = root ? strlen(root) : 0;
    if (!root || !kept || strncmp(path, root, under) != 0 || (path[under] != '/' && path[under] != 0)) return 0;

    pthread_mutex_lock(&one_at_a_time);
    if (identify(fd, "", AT_EMPTY_PATH, id, &mode) != 0) fail("shadow: statx");
    snprintf(fresh, sizeof fresh, "%s/fresh", kept);
    snprintf(final, sizeof final, "%s/%s.%s", kept, S_ISDIR(mode) ? "dir" : "file", id);
    if (S_ISDIR(mode)) {
        FILE *to = fopen(fresh, "w");
        if (!to) fail("shadow: fopen");
        list(fd, to);
        if (fclose(to) != 0) fail("shadow: fclose");
    } else {
        /* The descriptor handed in may be write-only and has a position that is not ours to move. */
        int from = open(link, O_RDONLY | O_CLOEXEC), to = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (from < 0 || to < 0) fail("shadow: open");
        copy(from, to);
        close(from);
        close(to);
    }
    /* A sync is whole or, when the process dies in it, not at all. */
    if (rename(fresh, final) != 0) fail("shadow: rename");
    pthread_mutex_unlock(&one_at_a_time);
    return 0;
}

int fsync(int fd) { return keep(fd); }
int fdatasync(int fd) { return keep(fd); }
