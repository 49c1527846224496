// How long an orthogonalised update is: the factor that multiplies it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "muonlab/core/names.h"

namespace muonlab::optim {

/// For a logical matrix of d_out rows and d_in columns with the direction O.
/// The names are those of the catalogue; "spectral" and "rms_norm" are left
/// out, since other libraries use each for two different factors.
enum class Scale {
  kUnit,      ///< "s1", "unit": 1
  kAspect,    ///< "s2", "original": sqrt(max(1, d_out/d_in)) (K. Jordan; torch)
  kSpectral,  ///< "s3": sqrt(d_out/d_in) (modula, dion)
  kMatchRms,  ///< "s4", "match-rms-adamw": 0.2 sqrt(max(d_out, d_in))
              ///< (Moonlight, arXiv 2502.16982)
  kMaxRoot,   ///< "s5": sqrt(max(d_out, d_in)) (Megatron; extra factor .2: s4)
  kNuclear,   ///< "s6", "nuclear": <D, O>, the dual norm of D (PolarGrad)
  kExactRms,  ///< "s7", "rms": 0.2 sqrt(d_out d_in) / |O| (AdaMuon)
  kRadius,    ///< "s8", "radius": as s3; scale_factor is Scion's radius
  kHyperball,  ///< "s9", "hyperball": |W0| / |O|, and |W| is kept at |W0|
               ///< (arXiv 2606.16899)
  kNamo,       ///< "namo": |B| / (1-b^t) / sqrt(EMA of |G|^2), bias-corrected
};

[[nodiscard]] std::span<const core::Named<Scale>> scales();
/// Throws Error(kInvalidArgument) on another name, with the nearest one.
[[nodiscard]] Scale scale_from_name(std::string_view name);
[[nodiscard]] std::string_view scale_name(Scale scale);
/// For tables: "sqrt(max(1,out/in))".
[[nodiscard]] std::string_view scale_formula(Scale scale);
[[nodiscard]] const std::vector<std::string>& scale_names();

/// The factor where the shape alone decides it; nullopt where the step does.
[[nodiscard]] std::optional<double> shape_factor(Scale scale,
                                                 std::int64_t d_out,
                                                 std::int64_t d_in);
/// The same; throws Error(kInternal) where the step decides.
[[nodiscard]] double scale_factor(Scale scale, std::int64_t d_out,
                                  std::int64_t d_in);

}  // namespace muonlab::optim
