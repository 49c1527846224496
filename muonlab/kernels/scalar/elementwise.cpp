// The reference level: one value after the other.
#include "muonlab/kernels/elementwise_body_internal.h"

namespace muonlab::kernels {

namespace {

struct Loop {
  template <typename Op>
  static void run(std::size_t n, Op op) {
    for (std::size_t i = 0; i < n; ++i) op(One{i});
  }

  static ChunkSummary summarise(const float* x, std::size_t n) noexcept {
    double lanes[16] = {};
    std::uint32_t largest = 0;
    std::size_t i = 0;
    // Lane by lane, which the compiler can do side by side.
    for (; i + 16 <= n; i += 16) {
      for (std::size_t k = 0; k < 16; ++k) {
        const double value = x[i + k];
        lanes[k] += value * value;
      }
      for (std::size_t k = 0; k < 16; ++k) {
        const std::uint32_t bits = magnitude_bits(x[i + k]);
        largest = bits > largest ? bits : largest;
      }
    }
    return finish(x, i, n, lanes, largest);
  }
};

}  // namespace

constinit const ElementwiseTable kScalarElementwise = table_of<Loop>();

}  // namespace muonlab::kernels
