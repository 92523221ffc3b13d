// Build-wide macros: visibility, sanitizers, branch hints.
#pragma once

#define WEIR_API __attribute__((visibility("default")))
#define WEIR_NOINLINE __attribute__((noinline))
#define WEIR_ALWAYS_INLINE inline __attribute__((always_inline))
#define WEIR_COLD __attribute__((noinline, cold))

#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define WEIR_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIR_TSAN 1
#endif
#endif

#ifndef WEIR_ASAN
#define WEIR_ASAN 0
#endif
#ifndef WEIR_TSAN
#define WEIR_TSAN 0
#endif
