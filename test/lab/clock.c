/*
 * Moves the clock of a lab's host: preloaded into every program (ld.so(8), /etc/ld.so.preload), it adds the seconds in
 * /etc/lab-clock to the time of day. The machines of a lab share the kernel's clock, which nobody may set. What runs by
 * the monotonic clock is left alone; points in time that a program waits for are brought back to the kernel's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static long offset(void)
{
  static long seconds;
  static volatile int known;

  if (!known) {
    FILE *file = fopen("/etc/lab-clock", "re");

    if (file != NULL) {
      if (fscanf(file, "%ld", &seconds) != 1)
        seconds = 0;
      fclose(file);
    }
    known = 1;
  }
  return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
  long result = syscall(SYS_clock_gettime, clock, now);

  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    now->tv_sec += offset();
  return (int)result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
  struct timespec precise;

  (void)zone;
  clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *where)
{
  struct timespec now;

  clock_gettime(CLOCK_REALTIME, &now);
  if (where != NULL)
    *where = now.tv_sec;
  return now.tv_sec;
}

/* A point in time that is later than half the way to the moved clock was read from it; the monotonic clock is far before. */
static struct timespec kernels(const struct timespec *point)
{
  struct timespec now, own = *point;

  syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  if (own.tv_sec > now.tv_sec + offset() / 2)
    own.tv_sec -= offset();
  return own;
}

#define REAL(name, version) \
  static __typeof__(name) *real; \
  if (real == NULL) \
    real = (__typeof__(name) *)dlvsym(RTLD_NEXT, #name, version)

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
  struct timespec own = kernels(until);
  REAL(pthread_cond_timedwait, "GLIBC_2.3.2");
  return real(condition, mutex, &own);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
  struct timespec own = kernels(until);
  REAL(pthread_mutex_timedlock, "GLIBC_2.2.5");
  return real(mutex, &own);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until)
{
  struct timespec own = kernels(until);
  REAL(sem_timedwait, "GLIBC_2.2.5");
  return real(semaphore, &own);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *duration, struct timespec *left)
{
  struct timespec own = flags & TIMER_ABSTIME ? kernels(duration) : *duration;
  REAL(clock_nanosleep, "GLIBC_2.17");
  return real(clock, flags, &own, left);
}

int timerfd_settime(int timer, int flags, const struct itimerspec *wanted, struct itimerspec *before)
{
  struct itimerspec own = *wanted;
  REAL(timerfd_settime, "GLIBC_2.8");
  if (flags & TFD_TIMER_ABSTIME)
    own.it_value = kernels(&wanted->it_value);
  return real(timer, flags, &own, before);
}
