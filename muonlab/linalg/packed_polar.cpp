#include "muonlab/linalg/packed_polar.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>

#include "muonlab/core/error.h"
#include "muonlab/kernels/simd_level.h"
#include "muonlab/linalg/polar_table.h"

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

bool use_packed() {
  static const bool kWanted = packed_wanted();
  return kWanted;
}

}  // namespace

std::optional<kernels::PolarSchedule> packed_schedule(
    const PolarOptions& options) {
  using kernels::PolarPrecision;
  if (!use_packed() || options.method != PolarMethod::kNewtonSchulz ||
      options.dtype == PolarDtype::kFloat64) {
    return std::nullopt;
  }
  kernels::PolarSchedule schedule;
  schedule.precision = options.dtype == PolarDtype::kBFloat16
                           ? PolarPrecision::kBFloat16
                           : PolarPrecision::kFloat32;
  const PolarTable& table = polar_table(options.coefficients);
  for (int step = 0; step < options.steps; ++step) {
    const Quintic& row = table.rows[std::min(static_cast<std::size_t>(step),
                                             table.rows.size() - 1)];
    schedule.steps.push_back({static_cast<float>(row.a),
                              static_cast<float>(row.b),
                              static_cast<float>(row.c)});
  }
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
