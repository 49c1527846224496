// How the optimizer hands its parameters to the rules: matrices in one batch,
// the others by group.
#include <ATen/ATen.h>

#include <deque>

#include "muonlab/optim/elementwise.h"
#include "muonlab/optim/fused_matrix.h"
#include "muonlab/optim/matrix_step.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/working_copy_internal.h"

namespace muonlab::optim {

namespace {

std::string own_key(const StateSlot& slot, const LogicalMatrix& matrix) {
  return matrix.name.empty() ? slot.name : slot.name + "." + matrix.name;
}

// Copies of weights and gradients that one batch of matrices may hold.
constexpr std::int64_t kMostCopied = std::int64_t{1} << 28;  // bytes

}  // namespace

// The steps of one parameter's matrices, and where their results go.
struct Optimizer::OpenParameter {
  struct Part {
    const LogicalMatrix* matrix;
    std::vector<StateSlot> slots;
    MatrixStep step;
  };
  Route* route = nullptr;
  WorkingWeight weight;
  at::Tensor all_rows;
  std::deque<Part> parts;   // do not move: others hold their addresses
  std::int64_t copied = 0;  // bytes
};

void Optimizer::open(OpenParameter& parameter, const Work& work) {
  Route& route = plan_.routes[work.route];
  const GroupOptions& options = options_of_route(route);
  State& state = state_of(route);
  parameter.route = &route;
  parameter.weight = working_weight(route.parameter);
  parameter.all_rows = flat(parameter.weight.values, route);
  const at::Tensor gradient = flat(working_gradient(route), route);
  if (parameter.weight.copied) {
    parameter.copied +=
        2 * static_cast<std::int64_t>(parameter.weight.values.nbytes());
  }
  for (std::size_t i = 0; i < route.matrices.size(); ++i) {
    if (work.skipped[i]) continue;
    const LogicalMatrix& m = route.matrices[i];
    auto& part = parameter.parts.emplace_back();
    part.matrix = &m;
    part.slots = state_slots(options.update(), m.rows, m.columns);
    part.step = {.weight = rows_of(m, parameter.all_rows),
                 .gradient = rows_of(m, gradient),
                 .state = {},
                 .t = ++state.steps[i],
                 .lr = options.lr(),
                 .weight_decay = options.weight_decay(),
                 .who = who(route, m)};
    for (const StateSlot& slot : part.slots) {
      const at::Tensor& t = state.tensors.at(
          slot.kind == StateSlot::Kind::kOwn ? own_key(slot, m) : slot.name);
      part.step.state[slot.name] = slot.kind == StateSlot::Kind::kOwn ? t
                                   : slot.kind == StateSlot::Kind::kPerRow
                                       ? rows_of(m, t)
                                       : rows_of(m, flat(t, route));
    }
    if (m.runs.size() > 1) {
      parameter.copied +=
          3 * static_cast<std::int64_t>(part.step.weight.nbytes());
    }
  }
}

void Optimizer::close(OpenParameter& parameter) {
  Route& route = *parameter.route;
  State& state = state_of(route);
  for (const auto& part : parameter.parts) {
    const LogicalMatrix& m = *part.matrix;
    put_rows(m, parameter.all_rows, part.step.weight);
    for (const StateSlot& slot : part.slots) {
      if (slot.kind == StateSlot::Kind::kOwn) continue;
      const at::Tensor& t = state.tensors.at(slot.name);
      at::Tensor target =
          slot.kind == StateSlot::Kind::kPerRow ? t : flat(t, route);
      put_rows(m, target, part.step.state.at(slot.name));
    }
  }
  write_back(route.parameter, parameter.weight);
}

void Optimizer::step_matrices(const std::vector<Work>& work) {
  FusedMatrices fused;
  std::deque<OpenParameter> opened;
  std::int64_t copied = 0;
  const auto flush = [&] {
    fused.run();
    for (OpenParameter& parameter : opened) close(parameter);
    opened.clear();
    copied = 0;
  };
  for (const Work& w : work) {
    OpenParameter& parameter = opened.emplace_back();
    open(parameter, w);
    copied += parameter.copied;
    const UpdateRule& rule = options_of_route(*parameter.route).update();
    const auto* pipeline = std::get_if<MatrixRule>(&rule);
    for (auto& part : parameter.parts) {
      if (pipeline != nullptr && FusedMatrices::takes(*pipeline, part.step)) {
        fused.add(*pipeline, part.step, gradient_scale_);
        continue;
      }
      if (gradient_scale_ != 1) {
        part.step.gradient = part.step.gradient.mul(gradient_scale_);
      }
      std::visit(
          [&](const auto& r) {
            if constexpr (requires { optim::update(r, part.step); }) {
              optim::update(r, part.step);
            }
          },
          rule);
    }
    if (copied > kMostCopied) flush();
  }
  flush();
}

void Optimizer::step_elements(std::size_t group,
                              const std::vector<Work>& work) {
  const GroupOptions& options = options_of_group(group);
  std::vector<WorkingWeight> weights;
  std::vector<ElementStep> steps;
  for (const Work& w : work) {
    const Route& route = plan_.routes[w.route];
    State& state = state_of(route);
    weights.push_back(working_weight(route.parameter));
    steps.push_back({.weight = weights.back().values,
                     .gradient = working_gradient(route),
                     .state = state.tensors,
                     .t = ++state.steps.front(),
                     .gradient_scale = gradient_scale_});
  }
  std::visit(
      [&](const auto& rule) {
        if constexpr (requires { optim::update(rule, steps, 0.0, 0.0); }) {
          optim::update(rule, steps, options.lr(), options.weight_decay());
        }
      },
      options.update());
  for (std::size_t i = 0; i < work.size(); ++i) {
    write_back(plan_.routes[work[i].route].parameter, weights[i]);
  }
}

}  // namespace muonlab::optim
