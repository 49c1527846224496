// Dion and Dion2 (see DionRule and Dion2Rule).
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "muonlab/core/philox.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/optim/matrix_step.h"

namespace muonlab::optim {

namespace {

// A start that depends on the seed and the parameter's name alone.
void fill_normal(at::Tensor& basis, std::int64_t seed, const std::string& who) {
  const core::Random random(static_cast<std::uint64_t>(seed), "dion/" + who);
  std::vector<double> values(static_cast<std::size_t>(basis.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = random.normal(0, i);
  }
  basis.copy_(linalg::tensor_of(values).view(basis.sizes()));
}

void decay(MatrixStep& s) {
  if (s.weight_decay != 0) s.weight.mul_(1 - s.lr * s.weight_decay);
}

}  // namespace

void update(const DionRule& r, MatrixStep& s) {
  const at::NoGradGuard no_grad;
  at::Tensor& m = s.state.at("momentum");   // (rows, columns)
  at::Tensor& basis = s.state.at("basis");  // (columns, rank)
  if (s.t == 1 && !basis.any().item<bool>()) {
    fill_normal(basis, r.seed, s.who);
  }
  m.add_(s.gradient);
  const at::Tensor p =
      std::get<0>(at::linalg_qr(at::mm(m, basis), "reduced"));  // (rows, rank)
  const at::Tensor captured = at::mm(m.t(), p);  // (columns, rank)
  // Error feedback is the momentum: what was captured decays by mu, the rest
  // stays whole.
  m.sub_(at::mm(p, captured.t()), 1 - r.momentum);
  basis.copy_(captured.div(
      at::linalg_vector_norm(captured, 2, {0}, /*keepdim=*/true).add_(r.eps)));
  decay(s);
  s.weight.add_(at::mm(p, basis.t()),
                -s.lr * scale_factor(Scale::kSpectral, m.size(0), m.size(1)));
}

void update(const Dion2Rule& r, MatrixStep& s) {
  const at::NoGradGuard no_grad;
  at::Tensor& m = s.state.at("momentum");
  m.add_(s.gradient);
  const std::int64_t dim = m.size(0) <= m.size(1) ? 0 : 1;
  const auto count = static_cast<std::int64_t>(
      std::ceil(r.fraction * static_cast<double>(m.size(dim))));
  // A stable sort, so that of equal slices the first is taken everywhere.
  const at::Tensor sums = m.abs().sum(1 - dim);
  const at::Tensor taken =
      std::get<1>(at::sort(sums, /*stable=*/true, /*dim=*/0,
                           /*descending=*/true))
          .narrow(0, 0, count);
  const at::Tensor slices = m.index_select(dim, taken);
  m.index_copy_(dim, taken, slices.mul(r.momentum));
  const at::Tensor o = polar_factor(slices, r.polar);
  decay(s);
  s.weight.index_add_(
      dim, taken, o,
      -s.lr * scale_factor(Scale::kSpectral, m.size(0), m.size(1)));
}

}  // namespace muonlab::optim
