// FXQ_VECTORIZE marks a plain loop function that is compiled for AVX-512, AVX2 with FMA, and the
// baseline; the loader picks one. Such a function gives the same bits in every version: floats are
// not contracted (-ffp-contract=off) and a fused multiply-add is written std::fma.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FXQ_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FXQ_SANITIZED 1
#endif
#endif

// The loader would call the choosing function before a sanitizer's runtime is up.
#if !defined(__x86_64__) || defined(FXQ_SANITIZED)
#define FXQ_VECTORIZE
#elif defined(__clang__)
#define FXQ_VECTORIZE __attribute__((target_clones("avx512bw", "avx2", "default")))
#else
#define FXQ_VECTORIZE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif

// A helper of such functions: compiled into each version of its caller, or it would stay baseline
// code.
#define FXQ_INLINE __attribute__((always_inline)) inline

// Before a loop whose iterations do not depend on each other even when its output is the very array
// that it reads (in place).
#if defined(__clang__)
#define FXQ_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define FXQ_IVDEP _Pragma("GCC ivdep")
#endif
