// The matrix pipeline in two passes over memory, many matrices at once.
//
// Pass 1 reads gradient and momentum, writes the momentum and packs the
// direction; the packed iteration follows; pass 2 reads the factor and the
// weight and writes the weight (and the post-transform's state).
#pragma once

#include <deque>
#include <vector>

#include "muonlab/optim/matrix_step.h"
#include "muonlab/optim/rule.h"

namespace muonlab::optim {

class FusedMatrices {
 public:
  /// Whether a step can go this way: a polar factor that the packed kernels
  /// have, float32 on the CPU, and slots that need no more than row sums.
  [[nodiscard]] static bool takes(const MatrixRule& rule,
                                  const MatrixStep& step);

  /// Takes a step in; `rule` and `step` must outlive run(). The gradient is
  /// multiplied by `gradient_scale` first (clipping).
  void add(const MatrixRule& rule, MatrixStep& step, double gradient_scale);

  /// Executes all of them and forgets them. Matrices are independent, so their
  /// order and the number of threads change no bit.
  void run();

 private:
  struct Item;
  struct Entry {
    const MatrixRule* rule = nullptr;
    MatrixStep* step = nullptr;
    PolarOptions polar = {};  ///< with a method of its own
    double gradient_scale = 1;
  };
  std::vector<Entry> entries_;
};

}  // namespace muonlab::optim
