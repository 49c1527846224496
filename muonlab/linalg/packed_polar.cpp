#include "muonlab/linalg/packed_polar.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>

#include "muonlab/core/error.h"
#include "muonlab/kernels/simd_level.h"
#include "muonlab/linalg/polar_coefficients.h"

namespace muonlab::linalg {

namespace {

bool packed_wanted() {
  const char* wish = std::getenv("MUONLAB_POLAR");
  if (wish == nullptr) return true;
  const std::string_view name(wish);
  MUONLAB_CHECK(name == "aten" || name == "kernels", "MUONLAB_POLAR: got '",
                name, "', expected aten or kernels");
  return name == "kernels";
}

std::optional<kernels::PolarPrecision> precision_of(PolarDtype dtype) {
  switch (dtype) {
    case PolarDtype::kAuto:
    case PolarDtype::kFloat32:
      return kernels::PolarPrecision::kFloat32;
    case PolarDtype::kBFloat16:
      return kernels::PolarPrecision::kBFloat16;
    case PolarDtype::kBFloat16Master:
      return kernels::PolarPrecision::kBFloat16Master;
    case PolarDtype::kMixed:
      return kernels::PolarPrecision::kMixed;
    case PolarDtype::kFloat64:
      break;
  }
  return std::nullopt;
}

bool use_packed() {
  static const bool kWanted = packed_wanted();
  return kWanted;
}

}  // namespace

std::optional<kernels::PolarSchedule> packed_schedule(
    const PolarOptions& options) {
  const auto precision = precision_of(options.dtype);
  const bool gram = options.method == PolarMethod::kGram;
  if (!use_packed() || !precision ||
      (!gram && options.method != PolarMethod::kNewtonSchulz)) {
    return std::nullopt;
  }
  kernels::PolarSchedule schedule;
  schedule.form =
      gram ? kernels::PolarForm::kGram : kernels::PolarForm::kStandard;
  schedule.precision = *precision;
  const PolarTable& table =
      polar_coefficients(options.coefficients, options.steps);
  for (int step = 0; step < options.steps; ++step) {
    const Quintic& row = table.rows[std::min(static_cast<std::size_t>(step),
                                             table.rows.size() - 1)];
    schedule.steps.push_back({static_cast<float>(row.a),
                              static_cast<float>(row.b),
                              static_cast<float>(row.c)});
  }
  if (gram) {
    for (const int step : restart_steps(options)) {
      schedule.restarts.push_back(static_cast<std::size_t>(step));
    }
  }
  schedule.normalise = options.norm == PolarNorm::kFrobenius;
  schedule.safety = table.safety;
  schedule.eps = options.eps;
  schedule.clamp_eps = options.eps_mode == PolarEps::kClamp;
  return schedule;
}

core::ThreadPool& kernel_pool() {
  return core::shared_pool(static_cast<std::size_t>(at::get_num_threads()));
}

std::string_view polar_backend() {
  return use_packed() ? kernels::simd_level_name(kernels::active_simd_level())
                      : "aten";
}

}  // namespace muonlab::linalg
