// The two forms of the Newton-Schulz iteration.
#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "muonlab/linalg/matmul.h"
#include "muonlab/linalg/polar_internal.h"

namespace muonlab::linalg {

namespace {

const Quintic& row_of(const PolarTable& table, int step) {
  return table
      .rows[std::min(static_cast<std::size_t>(step), table.rows.size() - 1)];
}

// c's factor times c plus p's factor times the product a b. bfloat16 as
// torch.optim.Muon orders it: scale and sum happen inside the product, before
// the one rounding.
at::Tensor fused(const at::Tensor& c, double c_factor, const at::Tensor& a,
                 const at::Tensor& b, double p_factor) {
  if (c.scalar_type() == at::kBFloat16) {
    return c.dim() == 2 ? at::addmm(c, a, b, c_factor, p_factor)
                        : at::baddbmm(c, a, b, c_factor, p_factor);
  }
  at::Tensor product = linalg::matmul(a, b);
  if (p_factor != 1) product.mul_(p_factor);
  return product.add_(c, c_factor);
}

// bA + cA^2
at::Tensor polynomial(const at::Tensor& a, const Quintic& q) {
  return q.c == 0 ? a.mul(q.b) : fused(a, q.b, a, a, q.c);
}

// Of bfloat16 operands, in float32. On the CPU as a float32 product of the
// rounded values, which are exact there, so only the sums round.
at::Tensor wide_product(const at::Tensor& a, const at::Tensor& b) {
  if (a.device().is_cpu())
    return linalg::matmul(a.to(at::kFloat), b.to(at::kFloat));
  return a.dim() == 2 ? at::mm(a, b, at::kFloat) : at::bmm(a, b, at::kFloat);
}

at::Tensor master_step(const at::Tensor& x, const Quintic& q) {
  const at::Tensor rounded = x.to(at::kBFloat16);
  const at::Tensor a = wide_product(rounded, rounded.mT()).to(at::kBFloat16);
  at::Tensor z = a.to(at::kFloat).mul_(q.b);
  if (q.c != 0) z.add_(wide_product(a, a), q.c);
  return wide_product(z.to(at::kBFloat16), rounded).add_(x, q.a);
}

// The lower triangle, and its mirror image above. The Gram form's matrices are
// symmetric but for rounding, and every step multiplies what is not: without
// this, errors are several times larger.
at::Tensor mirrored(const at::Tensor& a) {
  return a.tril().add_(a.tril(-1).mT());
}

at::Tensor gram_of(const at::Tensor& x, bool mixed) {
  if (!mixed) return mirrored(linalg::matmul(x, x.mT()));
  const at::Tensor rounded = x.to(at::kBFloat16);
  return mirrored(wide_product(rounded, rounded.mT()));
}

at::Tensor applied(const at::Tensor& q, const at::Tensor& x, bool mixed) {
  return mixed ? wide_product(q.to(at::kBFloat16), x.to(at::kBFloat16))
               : linalg::matmul(q, x);
}

}  // namespace

at::Tensor newton_schulz(PolarStart start, const PolarTable& table, int steps,
                         bool master) {
  at::Tensor x = std::move(start.x);
  for (int step = 0; step < steps; ++step) {
    const Quintic& q = row_of(table, step);
    if (master) {
      x = master_step(x, q);
      continue;
    }
    const at::Tensor a = step == 0 && start.gram.defined()
                             ? start.gram
                             : linalg::matmul(x, x.mT());
    x = fused(x, q.a, polynomial(a, q), x, 1);
  }
  return x;
}

at::Tensor gram_newton_schulz(PolarStart start, const PolarTable& table,
                              int steps, const std::vector<int>& restarts,
                              bool mixed) {
  at::Tensor x = std::move(start.x);
  at::Tensor r =
      start.gram.defined() ? mirrored(start.gram) : gram_of(x, mixed);
  at::Tensor q;  // undefined: the identity
  for (int step = 0; step < steps; ++step) {
    const Quintic& row = row_of(table, step);
    const at::Tensor z = mirrored(polynomial(r, row));
    if (q.defined()) {
      q = mirrored(fused(q, row.a, q, z, 1));
    } else {
      q = z.clone();
      q.diagonal(0, -2, -1).add_(row.a);
    }
    if (step + 1 == steps) break;
    if (std::find(restarts.begin(), restarts.end(), step + 1) !=
        restarts.end()) {
      x = applied(q, x, mixed);
      r = gram_of(x, mixed);
      q.reset();
      continue;
    }
    // (Z + aI) R (Z + aI), without aI: added to Z it would take digits.
    const at::Tensor rz = mirrored(fused(r, row.a, r, z, 1));
    r = mirrored(fused(rz, row.a, z, rz, 1));
  }
  return applied(q, x, mixed);
}

}  // namespace muonlab::linalg
