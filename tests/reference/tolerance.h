// How far a result may lie from its twin's: the one formula.
//
//   tolerance(dtype) = eps(dtype) * (4 T + 2 (r + c)) * max |W|
//                    + eps(inner) * 64 (r + c) * kappa
//
// T is the last step checked, r and c the shape. The first term: each step
// rounds the weight some four times, and a rule that builds it anew from row
// norms rounds sums over r or c terms. max |W| is over all elements and steps.
//
// The second term is what the direction of the steps does. kappa is the
// condition number of the displacement W_T - W_0: W_0, the gradients and what
// the rule decomposes are multiplied element by element by 1 + h u, with
// h = 1e-7 and u uniform in (-1, 1), and kappa is the largest change of a
// displacement over h, for some seeds; at least the displacement itself. 64
// (r + c) stands for the roundings in a step: some five products of matrices,
// r or c terms each, in some five passes, doubled. eps(inner) is that of
// polar_dtype where it is coarser than the dtype.
//
// It is float64's or float32's only where it says something: float32 has none
// where the tolerance exceeds a twentieth of the displacement (of the learning
// rate, if that is larger), or where squares of gradients that matter leave its
// range.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/reference/replay.h"

namespace muonlab::reference {

struct Trajectory {
  std::string rule;
  Options options;
  Matrix w0;
  std::vector<Matrix> gradients;
  std::optional<Matrix> q0;
};

[[nodiscard]] std::vector<Matrix> replay(const Trajectory& t);

struct Tolerance {
  double float64 = 0;
  std::optional<double> float32;
  /// A relative change of the input by 1e-7 changes the displacement by less
  /// than a thousandth: no sign, order or rank hangs on a rounding.
  bool settled = true;
};

/// How the input is changed to find kappa.
enum class Change {
  kElements,  ///< as above
  /// Each gradient by one factor, and nothing inside the rule: where the rank
  /// or equal norms are the very point of the input. Without float32.
  kFactors,
};

[[nodiscard]] Tolerance tolerance_of(const Trajectory& t,
                                     Change change = Change::kElements);

}  // namespace muonlab::reference
