// One step of Muon, MuonW and AdamW in float64, as the papers write them.
#pragma once

#include <cstddef>
#include <vector>

#include "tests/reference/matrix.h"

namespace muonlab::reference {

/// What multiplies the orthogonalised direction of an (out, in) matrix.
enum class Length {
  kOne,             ///< 1
  kAspect,          ///< sqrt(max(1, out / in))
  kSpectral,        ///< sqrt(out / in)
  kRootMeanSquare,  ///< 0.2 sqrt(max(out, in))
};
[[nodiscard]] double length_factor(Length length, std::size_t out,
                                   std::size_t in);

struct MuonSettings {
  bool heavy_ball = false;  ///< B <- beta B + G, else beta B + (1 - beta) G
  double beta = 0.95;
  bool nesterov = true;
  bool exact = false;  ///< the polar factor by SVD instead of Newton-Schulz
  Coefficients coefficients = kKeller;
  int steps = 5;
  double eps = 1e-7;
  Length length = Length::kAspect;
  double lr = 0.02;
  double decay = 0;
};

/// Changes `weight` and `buffer` (zero before the first step). The rows of the
/// weight are cut into blocks of the given heights, each a matrix of its own;
/// none given: one block.
void muon_step(Matrix& weight, const Matrix& gradient, Matrix& buffer,
               const MuonSettings& settings,
               const std::vector<std::size_t>& block_rows = {});

struct AdamWSettings {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double lr = 1e-3;
  double decay = 0;
};

/// `step` counts from 1; the moments are zero before it.
void adamw_step(std::vector<double>& weight,
                const std::vector<double>& gradient, std::vector<double>& first,
                std::vector<double>& second, int step,
                const AdamWSettings& settings);

}  // namespace muonlab::reference
