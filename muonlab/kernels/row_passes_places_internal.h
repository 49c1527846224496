// What the row passes of all levels are written in.
//
// A level is a type V of 16 float32 values with load, load_first, store,
// store_first, set, sum, min, max, exponent and + - * /. Because all levels
// have 16 lanes, one formula gives the same bits on all of them. All of
// this is in the unnamed namespace, so each level file has copies of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "muonlab/kernels/row_passes_table_internal.h"

namespace muonlab::kernels {
namespace {

// The level files have so many functions that the compiler would cease to
// inline what stands in the inner loops.
#define MUONLAB_INLINE [[gnu::always_inline]] inline

constexpr std::size_t kLanes = 16;
constexpr float kInfinity = __builtin_inff();

/// bfloat16 as it lies in memory.
struct Half {
  std::uint16_t bits;
};

[[maybe_unused]] float widened(float x) { return x; }
[[maybe_unused]] float widened(Half x) {
  return __builtin_bit_cast(float, std::uint32_t{x.bits} << 16);
}
/// To nearest, ties to even; a NaN becomes a quiet one.
[[maybe_unused]] Half narrowed(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  const std::uint32_t upper = bits >> 16;
  if (x != x) return {static_cast<std::uint16_t>(upper | 0x40)};
  return {static_cast<std::uint16_t>((bits + 0x7fff + (upper & 1)) >> 16)};
}
[[maybe_unused]] void put(float* p, float x) { *p = x; }
[[maybe_unused]] void put(Half* p, float x) { *p = narrowed(x); }

/// Values i to i + 15.
template <typename V>
struct Full {
  std::size_t i;

  template <typename T>
  V load(const T* p) const {
    return V::load(p + i);
  }
  template <typename T>
  V load(const T* p, float /*rest*/) const {
    return V::load(p + i);
  }
  template <typename T>
  void store(T* p, V x) const {
    V::store(p + i, x);
  }
};

/// The last ones, fewer than 16; the other lanes read `rest`, else zero.
template <typename V>
struct Last {
  std::size_t i;
  std::size_t count;

  template <typename T>
  V load(const T* p, float rest = 0) const {
    return V::load_first(p + i, count, rest);
  }
  template <typename T>
  void store(T* p, V x) const {
    V::store_first(p + i, x, count);
  }
};

template <typename V, typename Op>
void each(std::size_t n, Op op) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) op(Full<V>{i});
  if (i < n) op(Last<V>{i, n - i});
}

/// Combines op's vectors into 16 lanes: four of them side by side, since one
/// would wait for itself, and these as a tree. `begin` is what each starts at.
template <typename V, typename Op, typename Combine>
V gathered(std::size_t n, V begin, Op op, Combine combine) {
  V part[4] = {begin, begin, begin, begin};
  std::size_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (std::size_t k = 0; k < 4; ++k) {
      part[k] = combine(part[k], op(Full<V>{i + k * kLanes}));
    }
  }
#pragma GCC unroll 4
  for (std::size_t k = 0; k < 4; ++k) {
    if (i + kLanes <= n) {
      part[k] = combine(part[k], op(Full<V>{i}));
      i += kLanes;
    } else if (i < n) {
      part[k] = combine(part[k], op(Last<V>{i, n - i}));
      i = n;
    }
  }
  return combine(combine(part[0], part[1]), combine(part[2], part[3]));
}

/// Of what op gives for each group of values; lanes past the end must be zero.
template <typename V, typename Op>
V sums(std::size_t n, Op op) {
  return gathered<V>(n, V::set(0), op, [](V a, V b) { return a + b; });
}

template <typename V, typename T>
float mean_of_squares(std::size_t n, const T* x) {
  const V sum = sums<V>(n, [=](auto at) {
    const V value = at.load(x);
    return value * value;
  });
  return V::sum(sum) / static_cast<float>(n);
}

/// exp(x) for x <= 89, to a relative 2^-21; zero where x < -86.9, NaN for NaN.
template <typename V>
MUONLAB_INLINE V exponential_below(V x) {
  // exp(x) = 2^(n-1) * 2 exp(r), |r| <= ln(2) / 2. Adding `shifter` rounds to
  // an integer and leaves n + 126, which is the exponent of 2^(n-1), in the low
  // bits; for the lower bound it is 0, and so is the number. The upper part of
  // ln(2) has few bits: n times it is exact.
  const V shifter = V::set(0x1.8p23F + 126);
  const V bounded = V::max(V::set(-87.2F), x);
  const V t = bounded * V::set(0x1.715476p+0F) + shifter;
  const V n = t - shifter;
  const V r = (bounded - n * V::set(0x1.62ep-1F)) - n * V::set(0x1.0bfbe8p-15F);
  // Minimax of 2 exp(r), relative, with the first two terms held: 2^-28. Not by
  // Horner's rule, whose chain is longer than what a core looks ahead.
  const V r2 = r * r;
  const V low = V::set(2) + V::set(2) * r;
  const V middle = V::set(0x1.fffffcp-1F) + V::set(0x1.555490p-2F) * r;
  const V high = V::set(0x1.5558f4p-4F) + V::set(0x1.123a6cp-6F) * r;
  const V top = high + V::set(0x1.6a2352p-9F) * r2;
  const V p = low + r2 * (middle + r2 * top);
  return p * V::exponent(t);
}

/// For all x; infinity above the largest number.
template <typename V>
MUONLAB_INLINE V exponential(V x) {
  return exponential_below(V::min(V::set(89), x));
}

template <typename T>
T* row_of(RawRows rows, std::size_t r) {
  return static_cast<T*>(rows.data) + r * rows.stride;
}
template <typename T>
const T* row_of(ConstRawRows rows, std::size_t r) {
  return static_cast<const T*>(rows.data) + r * rows.stride;
}

}  // namespace
}  // namespace muonlab::kernels
