// The published trajectories of three steps on a 3 x 2 matrix, to ten digits.
#pragma once

#include <string>
#include <vector>

#include "tests/reference/replay.h"

namespace muonlab::reference {

/// W0 and the gradients that all of them share, up to four.
[[nodiscard]] Matrix golden_weight();
[[nodiscard]] std::vector<Matrix> golden_gradients(std::size_t count);

struct Golden {
  std::string name;  ///< as the table of published values calls it
  std::string rule;
  Options options;
  std::size_t steps = 3;
  std::vector<double> weight;  ///< after the last step, row by row
  bool with_q0 = false;        ///< dion of rank 1 with Q0 = e1
};

[[nodiscard]] std::vector<Golden> golden_rows();

}  // namespace muonlab::reference
