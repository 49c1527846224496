// What the polar factor of a matrix costs and how exact it is; what a table of
// steps does. For people and for programs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "muonlab/formats/json.h"
#include "muonlab/linalg/polar.h"

namespace muonlab::train {

struct PolarReport {
  std::string text;
  formats::Json json;
};

/// Matrices that are made instead of read.
struct MadeMatrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  /// gaussian; ill-conditioned: Gaussian lines of the short side, the last
  /// 10^-4 times the first; low-rank: rank n/4 and noise of 10^-3;
  /// rank-deficient: each line of the short side twice.
  std::string kind = "gaussian";
  std::int64_t seed = 0;
};
/// "768x3072". Throws Error(kInvalidArgument), `who` first, on other text.
[[nodiscard]] MadeMatrix made_matrix(const std::string& shape,
                                     const std::string& kind, std::int64_t seed,
                                     const std::string& who);

struct PolarRequest {
  std::filesystem::path file;      ///< safetensors; empty: `made`
  std::string tensor;              ///< empty: every two-dimensional one
  std::optional<MadeMatrix> made;  ///< read when there is no file
  PolarOptions options;
  bool exact = false;         ///< references in float64 for large matrices too
  std::filesystem::path out;  ///< the factors, as safetensors; may be empty
  std::int64_t threads = 0;   ///< 0: as many as LibTorch takes
};

/// For each matrix: median time, operations executed, share of the peak of the
/// same minute, |O O^T - I|/sqrt(n), and the distances |O - O'|/sqrt(n) from
/// U V^T by SVD and from the same iteration in float64. Throws Error(kIo),
/// Error(kCorruptData), Error(kInvalidArgument).
[[nodiscard]] PolarReport polar_report(const PolarRequest& request);

/// Every table of coefficients; `steps` 0: as many as it has rows, or 5.
[[nodiscard]] PolarReport polar_tables(int steps);

/// The rows that a generator makes, from "lower=1e-3,steps=5".
[[nodiscard]] PolarReport generated_table(const std::string& parts);

}  // namespace muonlab::train
