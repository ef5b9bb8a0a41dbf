/* A wall clock that can be put forward and back under a running process.

   Preloaded into it, this adds what the file named by STEPPED_CLOCK holds, a number of seconds as an int64, to every
   wall time that the process is told, and takes it off the wall times until which it waits. Its monotonic clock is the
   true one, as when an administrator sets the clock. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Later than any uptime, earlier than any wall time: tells which clock a deadline is by. */
#define WALL_TIMES_BEGIN 1000000000

static const volatile int64_t *ahead_s;
static int (*true_cond_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*true_sem_timedwait)(sem_t *, const struct timespec *);
static long (*true_syscall)(long, ...);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("STEPPED_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0)
        close(file);
    true_cond_timedwait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!true_cond_timedwait)
        true_cond_timedwait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    true_sem_timedwait = dlsym(RTLD_NEXT, "sem_timedwait");
    true_syscall = dlsym(RTLD_NEXT, "syscall");
    if (page != MAP_FAILED)
        ahead_s = page;
}

static int64_t ahead(void)
{
    return ahead_s ? *ahead_s : 0;
}

static const struct timespec *true_deadline(const struct timespec *told, struct timespec *room)
{
    if (!told || told->tv_sec < WALL_TIMES_BEGIN)
        return told;
    *room = *told;
    room->tv_sec -= ahead();
    return room;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long (*ask)(long, ...) = true_syscall ? true_syscall : dlsym(RTLD_NEXT, "syscall");
    int failed = ask(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += ahead();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now)
        *now = exact.tv_sec;
    return exact.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    struct timespec room;
    return true_cond_timedwait(condition, mutex, true_deadline(until, &room));
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until)
{
    struct timespec room;
    return true_sem_timedwait(semaphore, true_deadline(until, &room));
}

long syscall(long number, ...)
{
    struct timespec room;
    long words[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        words[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_clock_gettime)
        return clock_gettime((clockid_t)words[0], (struct timespec *)words[1]);
    if (number == SYS_futex && (words[1] & FUTEX_CLOCK_REALTIME))
        words[3] = (long)true_deadline((const struct timespec *)words[3], &room);
    return true_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}
