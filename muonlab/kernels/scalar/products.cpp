// The packed products in plain C++: the reference of the other levels.
#include "muonlab/kernels/portable_finish_internal.h"

namespace muonlab::kernels {

namespace {

void tile_float32(const TileCall& call) noexcept {
  const auto* left = static_cast<const float*>(call.left);
  for (std::size_t p = 0; p < call.panels; ++p) {
    const auto* right = reinterpret_cast<const float*>(
        static_cast<const char*>(call.right) + p * call.right_stride);
    float* sums = call.sums + p * kBlock;
    if (call.first) {
      for (std::size_t i = 0; i < kBlock; ++i) sums[i] = 0;
    }
    for (std::size_t k = 0; k < call.lines; ++k) {
      for (std::size_t r = 0; r < kTileRows; ++r) {
        for (std::size_t c = 0; c < kPanel; ++c) {
          sums[r * kPanel + c] += left[k * kPanel + r] * right[k * kPanel + c];
        }
      }
    }
  }
}

void tile_bfloat16(const TileCall& call) noexcept {
  const auto* left = static_cast<const std::uint16_t*>(call.left);
  for (std::size_t p = 0; p < call.panels; ++p) {
    const auto* right = reinterpret_cast<const std::uint16_t*>(
        static_cast<const char*>(call.right) + p * call.right_stride);
    float* sums = call.sums + p * kBlock;
    if (call.first) {
      for (std::size_t i = 0; i < kBlock; ++i) sums[i] = 0;
    }
    for (std::size_t k = 0; k < call.lines; ++k) {
      for (std::size_t half = 0; half < 2; ++half) {
        float wide[kPanel];
        for (std::size_t c = 0; c < kPanel; ++c) {
          wide[c] = widen(right[(k * kPanel + c) * 2 + half]);
        }
        for (std::size_t r = 0; r < kTileRows; ++r) {
          const float x = widen(left[(k * kPanel + r) * 2 + half]);
          for (std::size_t c = 0; c < kPanel; ++c) {
            sums[r * kPanel + c] += x * wide[c];
          }
        }
      }
    }
  }
}

void finish(const BlockCall& call) noexcept {
  finish_block(call, transpose_plain);
}

double sum_of_squares(const float* x, std::size_t n) noexcept {
  double lanes[kPanel] = {};
  for (std::size_t i = 0; i < n; ++i) {
    const double v = x[i];
    lanes[i % kPanel] += v * v;
  }
  for (std::size_t width = kPanel / 2; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

constexpr std::size_t kChains = 32;

float burst(std::size_t rounds) noexcept {
  float sums[kChains] = {};
  // Not constants to the compiler.
  volatile float factor = 0.999F;
  volatile float term = 0.001F;
  const float f = factor;
  const float t = term;
  for (std::size_t i = 0; i < rounds; ++i) {
    for (float& sum : sums) sum = sum * f + t;
  }
  float all = 0;
  for (const float sum : sums) all += sum;
  return all;
}

}  // namespace

const ProductTable kScalarProducts = {tile_float32,   tile_bfloat16, finish,
                                      sum_of_squares, burst,         burst,
                                      2 * kChains,    2 * kChains};

}  // namespace muonlab::kernels
