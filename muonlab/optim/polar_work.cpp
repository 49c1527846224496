#include "muonlab/optim/polar_work.h"

#include "muonlab/linalg/packed_polar.h"

namespace muonlab::optim {

namespace {

const PolarOptions* polar_of(const UpdateRule& rule) {
  if (const auto* r = std::get_if<MatrixRule>(&rule)) {
    return r->direction == Direction::kPolar ? &r->polar : nullptr;
  }
  if (const auto* r = std::get_if<MuownRule>(&rule)) return &r->polar;
  return nullptr;
}

}  // namespace

kernels::PolarFlops polar_work(const Plan& plan, const Route& route) {
  kernels::PolarFlops work;
  const at::Tensor& parameter = route.parameter;
  if (route.frozen || !parameter.device().is_cpu() ||
      working_dtype(parameter.scalar_type()) != at::kFloat) {
    return work;
  }
  const PolarOptions* polar = polar_of(plan.group_of(route).options.update());
  if (polar == nullptr) return work;
  const auto schedule = linalg::packed_schedule(*polar);
  if (!schedule) return work;
  for (const LogicalMatrix& matrix : route.matrices) {
    const kernels::PolarFlops one = kernels::polar_flops(
        static_cast<std::size_t>(matrix.rows),
        static_cast<std::size_t>(matrix.columns), *schedule);
    work.float32 += one.float32;
    work.bfloat16 += one.bfloat16;
  }
  return work;
}

}  // namespace muonlab::optim
