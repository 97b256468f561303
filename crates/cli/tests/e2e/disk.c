// A disk below $DISK that is full, or read-only, while the file $DISK_FAULT says so. Files that are read are let be.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// 0, or what a write fails with now.
static int fault(void) {
    const char *path = getenv("DISK_FAULT");
    char word[16] = "";
    int fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0) return 0;
    syscall(SYS_read, fd, word, sizeof word - 1);
    syscall(SYS_close, fd);
    return word[0] == 'f' ? ENOSPC : word[0] == 'r' ? EROFS : 0;
}

static int on_disk(const char *path) {
    const char *disk = getenv("DISK");
    return disk && path && !strncmp(path, disk, strlen(disk));
}

static int file_on_disk(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return on_disk(path);
}

#define REFUSE(where) do { int saved = errno, why = (where) ? fault() : 0; errno = saved; if (why) { errno = why; return -1; } } while (0)

ssize_t write(int fd, const void *bytes, size_t count) {
    REFUSE(file_on_disk(fd));
    return syscall(SYS_write, fd, bytes, count);
}
ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REFUSE(file_on_disk(fd));
    return syscall(SYS_writev, fd, pieces, count);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    REFUSE(file_on_disk(fd));
    return syscall(SYS_pwrite64, fd, bytes, count, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }
int ftruncate64(int fd, off64_t length) {
    struct stat now;
    int grows = !fstat(fd, &now) && length > now.st_size;
    REFUSE(file_on_disk(fd) && (grows || fault() == EROFS));
    return syscall(SYS_ftruncate, fd, length);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int opened(int folder, const char *path, int flags, mode_t mode) {
    struct stat now;
    int writes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
    int makes = flags & O_CREAT && syscall(SYS_newfstatat, folder, path, &now, 0);
    REFUSE(on_disk(path) && (makes || (writes && fault() == EROFS)));
    return syscall(SYS_openat, folder, path, flags, mode);
}
#define MODE(flags, mode) va_list rest; va_start(rest, flags); mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; va_end(rest)
int open64(const char *path, int flags, ...) { MODE(flags, mode); return opened(AT_FDCWD, path, flags, mode); }
int open(const char *path, int flags, ...) { MODE(flags, mode); return opened(AT_FDCWD, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags, mode); return opened(folder, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags, mode); return opened(folder, path, flags, mode); }

int mkdir(const char *path, mode_t mode) {
    REFUSE(on_disk(path));
    return syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
int rename(const char *from, const char *to) {
    REFUSE(on_disk(to) && fault() == EROFS);
    return syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}
int unlink(const char *path) {
    REFUSE(on_disk(path) && fault() == EROFS);
    return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
int link(const char *from, const char *to) {
    REFUSE(on_disk(to));
    return syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}
