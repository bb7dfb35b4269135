/*
** sanitized.h: which sanitizer has taken the place of the C library's memory, or of its signals: the one
** for threads keeps those back until a thread calls the C library.
*/
#ifndef SANITIZED_H
#define SANITIZED_H

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if __has_feature(thread_sanitizer) || defined(__SANITIZE_THREAD__)
#define THREADS_SANITIZED 1
#else
#define THREADS_SANITIZED 0
#endif
#if __has_feature(address_sanitizer) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED THREADS_SANITIZED
#endif

#endif
