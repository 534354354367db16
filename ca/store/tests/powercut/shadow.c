/* Keeps in SHADOW_KEPT what a power cut would leave of SHADOW_ROOT: loaded before libc, it copies a file when it is
 * synced and lists a directory when that is synced. What was never synced is not there, names included.
 *
 *   SHADOW_KEPT/file.ID   the bytes of a file at its last fsync or fdatasync
 *   SHADOW_KEPT/dir.ID    the names in a directory at its last fsync, a line each: d|f, ID, name
 *
 * POSIX promises a file's name only once its directory is synced. ext4, XFS and btrfs keep the name of a new file with
 * the file's own sync, and those of the directories above; with SHADOW_NAMES=1 so does this.
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

/* Adds one name to what is kept of a directory, in place of another file of that name. */
static void keep_name(const char *kept, const char *directory, const char *name) {
    char parent[64], child[64], path[PATH_MAX], fresh[PATH_MAX], wanted[PATH_MAX], line[PATH_MAX];
    mode_t mode;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || identify(fd, "", AT_EMPTY_PATH, parent, &mode) != 0) fail("shadow: directory");
    if (identify(fd, name, 0, child, &mode) != 0) fail("shadow: name");
    close(fd);
    snprintf(wanted, sizeof wanted, "%c %s %s\n", S_ISDIR(mode) ? 'd' : 'f', child, name);
    snprintf(path, sizeof path, "%s/dir.%s", kept, parent);
    snprintf(fresh, sizeof fresh, "%s/fresh", kept);
    FILE *from = fopen(path, "r"), *to = fopen(fresh, "w");
    if (!to) fail("shadow: fopen");
    while (from && fgets(line, sizeof line, from)) {
        const char *id = strchr(line, ' '), *of = id ? strchr(id + 1, ' ') : NULL;
        if (of && (strncmp(of + 1, name, strlen(name)) != 0 || of[1 + strlen(name)] != '\n')) fputs(line, to);
    }
    fputs(wanted, to);
    if (from) fclose(from);
    if (fclose(to) != 0 || rename(fresh, path) != 0) fail("shadow: names");
}

static void keep_names(const char *kept, char *path, size_t under) {
    for (char *slash = path + under; slash; slash = strchr(slash + 1, '/')) {
        char *end = strchr(slash + 1, '/');
        *slash = 0;
        if (end) *end = 0;
        keep_name(kept, path, slash + 1);
        *slash = '/';
        if (end) *end = '/';
    }
}

static int keep(int fd) {
    const char *root = getenv("SHADOW_ROOT"), *kept = getenv("SHADOW_KEPT");
    char link[64], path[PATH_MAX], fresh[PATH_MAX], final[PATH_MAX], id[64];
    mode_t mode;
    int linked = 0;
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
        struct stat status;
        if (fstat(from, &status) != 0) fail("shadow: fstat");
        linked = status.st_nlink > 0;
        close(from);
        close(to);
    }
    /* A sync is whole or, when the process dies in it, not at all. */
    if (rename(fresh, final) != 0) fail("shadow: rename");
    if (linked && getenv("SHADOW_NAMES")) keep_names(kept, path, under);
    pthread_mutex_unlock(&one_at_a_time);
    return 0;
}

int fsync(int fd) { return keep(fd); }
int fdatasync(int fd) { return keep(fd); }
