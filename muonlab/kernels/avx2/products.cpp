// The packed products in 256-bit vectors: a line is two of them.
#include <immintrin.h>

#include "muonlab/kernels/portable_finish_internal.h"

namespace muonlab::kernels {

namespace {

// Four rows by one panel: 8 sums cover a latency of 4 at two a cycle, and leave
// registers for the line.
constexpr std::size_t kRows = 4;

template <typename Left, typename Step>
inline void four_rows(const Left* left, const Left* right, std::size_t lines,
                      bool first, float* sums, Step step) noexcept {
  __m256 sum[kRows][2];
#pragma GCC unroll 4
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (std::size_t h = 0; h < 2; ++h) {
      sum[r][h] = first ? _mm256_setzero_ps()
                        : _mm256_load_ps(sums + r * kPanel + 8 * h);
    }
  }
  for (std::size_t k = 0; k < lines; ++k) {
    step(left + k * kPanel, right + k * kPanel, sum);
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (std::size_t h = 0; h < 2; ++h) {
      _mm256_store_ps(sums + r * kPanel + 8 * h, sum[r][h]);
    }
  }
}

// Four rows by 24 columns, from vector `kFirst` of a strip of three panels: 12
// sums, which hide more of the latency and read less for each of them.
template <std::size_t kFirst>
inline void wide_rows(const float* left, const TileCall& call,
                      float* sums) noexcept {
  constexpr std::size_t kVectors = 3;
  const auto column = [](std::size_t v) { return (kFirst + v) % 2 * 8; };
  const float* right[kVectors];
  float* to[kVectors];
  __m256 sum[kRows][kVectors];
#pragma GCC unroll 3
  for (std::size_t v = 0; v < kVectors; ++v) {
    const std::size_t panel = (kFirst + v) / 2;
    right[v] =
        reinterpret_cast<const float*>(static_cast<const char*>(call.right) +
                                       panel * call.right_stride) +
        column(v);
    to[v] = sums + panel * kBlock + column(v);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < kRows; ++r) {
      sum[r][v] =
          call.first ? _mm256_setzero_ps() : _mm256_load_ps(to[v] + r * kPanel);
    }
  }
  for (std::size_t k = 0; k < call.lines; ++k) {
    __m256 line[kVectors];
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kVectors; ++v) {
      line[v] = _mm256_load_ps(right[v] + k * kPanel);
    }
#pragma GCC unroll 4
    for (std::size_t r = 0; r < kRows; ++r) {
      const __m256 x = _mm256_broadcast_ss(left + k * kPanel + r);
#pragma GCC unroll 3
      for (std::size_t v = 0; v < kVectors; ++v) {
        sum[r][v] = _mm256_fmadd_ps(x, line[v], sum[r][v]);
      }
    }
  }
#pragma GCC unroll 3
  for (std::size_t v = 0; v < kVectors; ++v) {
#pragma GCC unroll 4
    for (std::size_t r = 0; r < kRows; ++r) {
      _mm256_store_ps(to[v] + r * kPanel, sum[r][v]);
    }
  }
}

void tile_float32(const TileCall& call) noexcept {
  const auto* left = static_cast<const float*>(call.left);
  if (call.panels == kTilePanels) {
    for (std::size_t r = 0; r < kTileRows; r += kRows) {
      wide_rows<0>(left + r, call, call.sums + r * kPanel);
      wide_rows<3>(left + r, call, call.sums + r * kPanel);
    }
    return;
  }
  const auto step = [](const float* l, const float* r, __m256(&sum)[kRows][2])
                        __attribute__((always_inline)) {
                          const __m256 low = _mm256_load_ps(r);
                          const __m256 high = _mm256_load_ps(r + 8);
#pragma GCC unroll 4
                          for (std::size_t i = 0; i < kRows; ++i) {
                            const __m256 x = _mm256_broadcast_ss(l + i);
                            sum[i][0] = _mm256_fmadd_ps(x, low, sum[i][0]);
                            sum[i][1] = _mm256_fmadd_ps(x, high, sum[i][1]);
                          }
                        };
  for (std::size_t p = 0; p < call.panels; ++p) {
    const auto* right = reinterpret_cast<const float*>(
        static_cast<const char*>(call.right) + p * call.right_stride);
    float* sums = call.sums + p * kBlock;
    four_rows(left, right, call.lines, call.first, sums, step);
    four_rows(left + kRows, right, call.lines, call.first,
              sums + kRows * kPanel, step);
  }
}

void tile_bfloat16(const TileCall& call) noexcept {
  const auto* left = static_cast<const std::int32_t*>(call.left);
  const auto step = [](const std::int32_t* l, const std::int32_t* r,
                       __m256(&sum)[kRows][2]) __attribute__((always_inline)) {
    const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xffff0000U));
    const __m256i a = _mm256_load_si256(reinterpret_cast<const __m256i*>(r));
    const __m256i b =
        _mm256_load_si256(reinterpret_cast<const __m256i*>(r + 8));
    const __m256 even[2] = {_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)),
                            _mm256_castsi256_ps(_mm256_slli_epi32(b, 16))};
    const __m256 odd[2] = {_mm256_castsi256_ps(_mm256_and_si256(a, mask)),
                           _mm256_castsi256_ps(_mm256_and_si256(b, mask))};
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kRows; ++i) {
      const __m256i x = _mm256_set1_epi32(l[i]);
      const __m256 x_even = _mm256_castsi256_ps(_mm256_slli_epi32(x, 16));
      const __m256 x_odd = _mm256_castsi256_ps(_mm256_and_si256(x, mask));
#pragma GCC unroll 2
      for (std::size_t h = 0; h < 2; ++h) {
        sum[i][h] = _mm256_fmadd_ps(x_odd, odd[h], sum[i][h]);
        sum[i][h] = _mm256_fmadd_ps(x_even, even[h], sum[i][h]);
      }
    }
  };
  for (std::size_t p = 0; p < call.panels; ++p) {
    const auto* right = reinterpret_cast<const std::int32_t*>(
        static_cast<const char*>(call.right) + p * call.right_stride);
    float* sums = call.sums + p * kBlock;
    four_rows(left, right, call.lines, call.first, sums, step);
    four_rows(left + kRows, right, call.lines, call.first,
              sums + kRows * kPanel, step);
  }
}

// Eight rows of eight floats become eight columns, `to_stride` floats apart.
inline void transpose_square(const float* from, float* to) noexcept {
  __m256 r[8];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < 8; ++i) r[i] = _mm256_load_ps(from + i * kPanel);
  __m256 t[8];
#pragma GCC unroll 4
  for (std::size_t i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  __m256 u[8];
#pragma GCC unroll 2
  for (std::size_t i = 0; i < 2; ++i) {
    const std::size_t j = 4 * i;
    u[j] = _mm256_shuffle_ps(t[j], t[j + 2], 0x44);
    u[j + 1] = _mm256_shuffle_ps(t[j], t[j + 2], 0xee);
    u[j + 2] = _mm256_shuffle_ps(t[j + 1], t[j + 3], 0x44);
    u[j + 3] = _mm256_shuffle_ps(t[j + 1], t[j + 3], 0xee);
  }
#pragma GCC unroll 4
  for (std::size_t i = 0; i < 4; ++i) {
    _mm256_store_ps(to + i * kTileRows,
                    _mm256_permute2f128_ps(u[i], u[4 + i], 0x20));
    _mm256_store_ps(to + (4 + i) * kTileRows,
                    _mm256_permute2f128_ps(u[i], u[4 + i], 0x31));
  }
}

void finish(const BlockCall& call) noexcept {
  finish_block(call, [](const Block& v, float(&t)[kPanel][kTileRows]) {
    transpose_square(&v[0][0], &t[0][0]);
    transpose_square(&v[0][8], &t[8][0]);
  });
}

double sum_of_squares(const float* x, std::size_t n) noexcept {
  __m256d sums[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(),
                     _mm256_setzero_pd(), _mm256_setzero_pd()};
  std::size_t i = 0;
  for (; i + kPanel <= n; i += kPanel) {
#pragma GCC unroll 4
    for (std::size_t q = 0; q < 4; ++q) {
      const __m256d v = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4 * q));
      sums[q] = _mm256_add_pd(sums[q], _mm256_mul_pd(v, v));
    }
  }
  alignas(32) double lanes[kPanel];
  for (std::size_t q = 0; q < 4; ++q) _mm256_store_pd(lanes + 4 * q, sums[q]);
  for (; i < n; ++i) {
    const double v = x[i];
    lanes[i % kPanel] += v * v;
  }
  for (std::size_t width = kPanel / 2; width > 0; width /= 2) {
    for (std::size_t j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  }
  return lanes[0];
}

constexpr std::size_t kChains = 12;

float burst(std::size_t rounds) noexcept {
  __m256 sums[kChains];
#pragma GCC unroll 12
  for (std::size_t i = 0; i < kChains; ++i) {
    sums[i] = _mm256_set1_ps(static_cast<float>(i));
  }
  const __m256 x = _mm256_set1_ps(0.999F);
  const __m256 y = _mm256_set1_ps(0.001F);
  for (std::size_t k = 0; k < rounds; ++k) {
#pragma GCC unroll 12
    for (std::size_t i = 0; i < kChains; ++i) {
      sums[i] = _mm256_fmadd_ps(sums[i], x, y);
    }
  }
  alignas(32) float all[8] = {};
  for (std::size_t i = 1; i < kChains; ++i) {
    sums[0] = _mm256_add_ps(sums[0], sums[i]);
  }
  _mm256_store_ps(all, sums[0]);
  return all[0] + all[1] + all[2] + all[3] + all[4] + all[5] + all[6] + all[7];
}

constexpr std::size_t kFlops = kChains * 8 * 2;

}  // namespace

const ProductTable kAvx2Products = {tile_float32,   tile_bfloat16, finish,
                                    sum_of_squares, burst,         burst,
                                    kFlops,         kFlops};

}  // namespace muonlab::kernels
