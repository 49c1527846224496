// A parameter as the rules see it: in working precision and C order.
#pragma once

#include <ATen/ATen.h>

#include <string>

#include "muonlab/optim/plan.h"

namespace muonlab::optim {

// The weight in working precision and C order: the parameter's own memory, or a
// copy that write_back() returns.
struct WorkingWeight {
  at::Tensor values;
  bool copied = false;
};

inline WorkingWeight working_weight(const at::Tensor& parameter) {
  // Shares memory and version counter, without autograd.
  const at::Tensor own = parameter.detach();
  const auto dtype = working_dtype(own.scalar_type());
  if (own.scalar_type() == dtype && own.is_contiguous()) return {own, false};
  return {at::empty(own.sizes(), own.options().dtype(dtype)).copy_(own), true};
}

inline void write_back(at::Tensor& parameter, const WorkingWeight& weight) {
  if (weight.copied) {
    parameter.detach().copy_(weight.values.view(parameter.sizes()));
  }
}

inline at::Tensor working_gradient(const Route& route) {
  return route.parameter.grad()
      .to(working_dtype(route.parameter.scalar_type()))
      .contiguous();
}

// For errors: the parameter's name and the block's.
inline std::string who(const Route& route, const LogicalMatrix& matrix) {
  return matrix.name.empty() ? route.name : route.name + "." + matrix.name;
}

// As rows of its logical matrices.
inline at::Tensor flat(const at::Tensor& x, const Route& route) {
  const LogicalMatrix& any = route.matrices.front();
  return x.view({-1, any.columns});
}

}  // namespace muonlab::optim
