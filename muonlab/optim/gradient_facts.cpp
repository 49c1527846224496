#include "muonlab/optim/gradient_facts.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "muonlab/kernels/elementwise_list.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/linalg/tensor_view.h"

namespace muonlab::optim {

namespace {

// By LibTorch's operators: other dtypes, devices and layouts.
GradientFacts facts_of(const Route& route) {
  const at::Tensor& own = route.parameter.grad();
  const at::Tensor gradient =
      own.to(working_dtype(own.scalar_type())).contiguous();
  const auto largest = [](const at::Tensor& x) {
    return at::linalg_vector_norm(x, INFINITY);
  };
  GradientFacts facts;
  facts.sum_of_squares =
      std::pow(at::linalg_vector_norm(gradient).item<double>(), 2);
  if (route.matrices.size() < 2) {
    facts.largest = {largest(gradient).item<double>()};
    return facts;
  }
  const at::Tensor flat = gradient.view({-1, route.matrices.front().columns});
  std::vector<at::Tensor> norms;
  for (const LogicalMatrix& m : route.matrices) {
    norms.push_back(largest(rows_of(m, flat)));
  }
  facts.largest = linalg::values_of(at::stack(norms));
  return facts;
}

bool plain(const at::Tensor& gradient) {
  return gradient.scalar_type() == at::kFloat && gradient.device().is_cpu() &&
         gradient.is_contiguous();
}

// The part of a gradient that one sum covers.
struct Part {
  std::size_t route = 0;
  std::size_t matrix = 0;
};

}  // namespace

std::vector<GradientFacts> gradient_facts(
    std::span<const Route* const> routes) {
  std::vector<GradientFacts> facts(routes.size());
  std::vector<Part> parts;
  std::vector<kernels::ConstArray> arrays;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const Route& route = *routes[i];
    const at::Tensor& gradient = route.parameter.grad();
    if (!plain(gradient)) {
      facts[i] = facts_of(route);
      continue;
    }
    facts[i].largest.resize(std::max<std::size_t>(route.matrices.size(), 1));
    const auto bytes = linalg::bytes_of(gradient);
    const auto* values = reinterpret_cast<const float*>(bytes.data());
    if (route.matrices.size() < 2) {
      parts.push_back({i, 0});
      arrays.push_back({values, bytes.size() / sizeof(float)});
      continue;
    }
    for (std::size_t m = 0; m < route.matrices.size(); ++m) {
      const LogicalMatrix& matrix = route.matrices[m];
      for (const LogicalMatrix::Run& run : matrix.runs) {
        parts.push_back({i, m});
        arrays.push_back({values + run.first_row * matrix.columns,
                          static_cast<std::size_t>(run.rows * matrix.columns)});
      }
    }
  }
  const auto summaries = kernels::summarise_list(arrays, linalg::kernel_pool());
  for (std::size_t p = 0; p < parts.size(); ++p) {
    GradientFacts& own = facts[parts[p].route];
    double& largest = own.largest[parts[p].matrix];
    own.sum_of_squares += summaries[p].sum_of_squares;
    if (!summaries[p].finite) {
      largest = std::numeric_limits<double>::quiet_NaN();
    } else if (!std::isnan(largest)) {
      largest = std::max(largest,
                         static_cast<double>(summaries[p].largest_magnitude));
    }
  }
  return facts;
}

}  // namespace muonlab::optim
