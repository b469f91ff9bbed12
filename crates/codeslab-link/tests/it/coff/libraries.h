/* What the libraries ask of Microsoft's C library, as far as they are linked in tests: declarations of standard C and of its own names, and no more. */
#ifndef DECLARED
#define DECLARED
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef long long time_t;
typedef long off_t;
typedef struct file FILE;
struct tm { int tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, tm_yday, tm_isdst; };

void *malloc(size_t);
void *calloc(size_t, size_t);
void *realloc(void *, size_t);
void free(void *);
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
void *memchr(const void *, int, size_t);
size_t strlen(const char *);
int strcmp(const char *, const char *);
int strncmp(const char *, const char *, size_t);
size_t strcspn(const char *, const char *);
char *strcpy(char *, const char *);
char *strcat(char *, const char *);
char *strchr(const char *, int);
char *strrchr(const char *, int);
char *strerror(int);
int atoi(const char *);
int sprintf(char *, const char *, ...);
long strtol(const char *, char **, int);
double fabs(double);
int *_errno(void);
#define errno (*_errno())
#define EAGAIN 11
#define EWOULDBLOCK 140
#define EINTR 4
#define O_RDONLY 0
#define O_WRONLY 1
#define O_APPEND 8
#define O_CREAT 0x100
#define O_TRUNC 0x200
#define O_EXCL 0x400
#define _S_IREAD 0x100
#define _S_IWRITE 0x80
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#define assert(condition) ((void)0)
#endif
