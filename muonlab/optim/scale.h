// How long an orthogonalised update is: the factor that multiplies msign.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muonlab::optim {

/// For a logical matrix of d_out rows and d_in columns.
enum class Scale {
  kUnit,      ///< "s1": 1
  kAspect,    ///< "s2": sqrt(max(1, d_out/d_in)) (K. Jordan; torch "original")
  kSpectral,  ///< "s3": sqrt(d_out/d_in) (Scion, modula)
  kMatchRms,  ///< "s4": 0.2 sqrt(max(d_out, d_in)) (Moonlight, arXiv
              ///< 2502.16982)
};

/// Throws Error(kInvalidArgument) on another name, with the nearest one.
[[nodiscard]] Scale scale_from_name(std::string_view name);
[[nodiscard]] std::string_view scale_name(Scale scale);
/// For tables: "s4 = 0.2*sqrt(max)".
[[nodiscard]] std::string_view scale_formula(Scale scale);
[[nodiscard]] const std::vector<std::string>& scale_names();

[[nodiscard]] double scale_factor(Scale scale, std::int64_t d_out,
                                  std::int64_t d_in);

}  // namespace muonlab::optim
