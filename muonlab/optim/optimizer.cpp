#include "muonlab/optim/optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/optim/gradient_facts.h"
#include "muonlab/optim/matrix_step.h"
#include "muonlab/optim/working_copy_internal.h"

namespace muonlab::optim {

namespace {

const void* identity(const at::Tensor& tensor) {
  return tensor.unsafeGetTensorImpl();
}

}  // namespace

Optimizer::Optimizer(Plan plan)
    // The base class would replace a third party's group options by a clone of
    // the defaults, so it starts empty and options are set after each add.
    : torch::optim::Optimizer(std::vector<torch::optim::OptimizerParamGroup>{},
                              std::make_unique<GroupOptions>(adamw())),
      plan_(std::move(plan)) {
  for (const Group& group : plan_.groups) validate(group.options, group.name);
  for (std::size_t i = 0; i < plan_.routes.size(); ++i) {
    const Route& route = plan_.routes[i];
    known_.emplace(identity(route.parameter), i);
    updates_[route.name] = 0;
    counters_[rule_name(plan_.group_of(route).options.update())];
  }
  for (std::size_t g = 0; g < plan_.groups.size(); ++g) {
    std::vector<at::Tensor> parameters;
    for (const Route& route : plan_.routes) {
      if (route.group == g && !route.frozen) {
        parameters.push_back(route.parameter);
      }
    }
    add_param_group(torch::optim::OptimizerParamGroup(parameters));
    param_groups_.back().set_options(
        std::make_unique<GroupOptions>(plan_.groups[g].options));
  }
}

std::vector<std::size_t> Optimizer::members() const {
  std::set<std::size_t> seen;
  for (std::size_t g = 0; g < param_groups_.size(); ++g) {
    for (const at::Tensor& parameter : param_groups_[g].params()) {
      const auto found = known_.find(identity(parameter));
      MUONLAB_CHECK(found != known_.end(), "Optimizer: group ", g,
                    ": a parameter of shape ", parameter.sizes(),
                    " is not in the routing plan; route the model again");
      MUONLAB_CHECK(seen.insert(found->second).second, "Optimizer: parameter '",
                    plan_.routes[found->second].name,
                    "' is in the groups twice");
    }
  }
  return {seen.begin(), seen.end()};
}

const GroupOptions& Optimizer::options_of_group(std::size_t group) const {
  return static_cast<const GroupOptions&>(param_groups_.at(group).options());
}

void Optimizer::check_groups() const {
  MUONLAB_CHECK(param_groups_.size() >= plan_.groups.size(), "Optimizer: got ",
                param_groups_.size(), " parameter groups, expected the plan's ",
                plan_.groups.size(), " and those that were added");
  for (std::size_t g = 0; g < param_groups_.size(); ++g) {
    const auto* options =
        dynamic_cast<const GroupOptions*>(&param_groups_[g].options());
    MUONLAB_CHECK(options != nullptr, "Optimizer: group ", g,
                  ": its options are not muonlab::optim::GroupOptions");
    validate(*options, concat("Optimizer: group ", g));
  }
}

void Optimizer::check_gradient(const Route& route) const {
  MUONLAB_CHECK(
      !is_matrix_rule(options_of_route(route).update()) ||
          !route.matrices.empty(),
      "Optimizer: parameter '", route.name,
      "': its group has a matrix rule, but it was routed without logical "
      "matrices; route the model again");
  const at::Tensor& gradient = route.parameter.grad();
  MUONLAB_CHECK(gradient.layout() == at::kStrided, "Optimizer: parameter '",
                route.name, "': has a sparse gradient, expected a dense one");
  MUONLAB_CHECK(gradient.sizes() == route.parameter.sizes(),
                "Optimizer: parameter '", route.name,
                "': has a gradient of shape ", gradient.sizes(), ", expected ",
                route.parameter.sizes());
}

Optimizer::Work Optimizer::checked(std::size_t index,
                                   const GradientFacts& facts) const {
  const Route& route = plan_.routes[index];
  const GroupOptions& options = options_of_route(route);
  const bool matrix = is_matrix_rule(options.update());
  Work work{.route = index, .skipped = {}};
  const bool skip_zero = std::visit(
      [](const auto& r) {
        if constexpr (requires { r.skip_zero; }) return r.skip_zero;
        return false;
      },
      options.update());
  for (const double largest : facts.largest) {
    if (!std::isfinite(largest)) {
      throw Error(ErrorKind::kDiverged,
                  concat("Optimizer: parameter '", route.name,
                         "': its gradient is not finite; the step was refused "
                         "and nothing was changed"),
                  "lower the learning rate, clip the gradients, or find where "
                  "the loss overflows");
    }
    work.skipped.push_back(matrix && skip_zero && largest == 0);
  }
  const auto state = states_.find(route.name);
  if (state != states_.end()) {
    for (const auto& [slot, shape] : layout_of(route)) {
      MUONLAB_CHECK(state->second.tensors.count(slot) != 0,
                    "Optimizer: parameter '", route.name,
                    "': its state has no '", slot, "': rule '",
                    rule_name(options.update()),
                    "' took the place of another one; save and load the state "
                    "under the new rule, or make a new optimizer");
    }
  }
  if (matrix && state == states_.end()) {
    const at::Tensor weight =
        flat(working_weight(route.parameter).values, route);
    for (const LogicalMatrix& m : route.matrices) {
      check_start(options.update(), rows_of(m, weight), who(route, m));
    }
  }
  return work;
}

std::vector<Optimizer::Work> Optimizer::checked_work() {
  check_groups();
  std::vector<std::size_t> with;
  std::vector<const Route*> routes;
  std::vector<std::string> without;
  for (const std::size_t i : members()) {
    const Route& route = plan_.routes[i];
    if (route.parameter.grad().defined()) {
      check_gradient(route);
      with.push_back(i);
      routes.push_back(&route);
    } else {
      without.push_back(rule_name(options_of_route(route).update()));
    }
  }
  const std::vector<GradientFacts> facts = gradient_facts(routes);
  std::vector<Work> work;
  double squares = 0;
  for (std::size_t i = 0; i < with.size(); ++i) {
    work.push_back(checked(with[i], facts[i]));
    squares += facts[i].sum_of_squares;
  }
  check_attention();
  for (const std::string& rule : without) ++counters_[rule].without_gradient;
  gradient_norm_ = std::sqrt(squares);
  gradient_scale_ =
      max_gradient_norm_ > 0 && gradient_norm_ > max_gradient_norm_
          ? max_gradient_norm_ / gradient_norm_
          : 1;
  return work;
}

torch::Tensor Optimizer::step(LossClosure closure) {
  torch::Tensor loss;
  if (closure != nullptr) {
    const at::AutoGradMode enable_grad(true);
    loss = closure();
  }
  const at::NoGradGuard no_grad;
  const std::vector<Work> work = checked_work();
  if (observer_ != nullptr) {
    observer_->begin_step(gradient_scale_);
    for (const Work& w : work) {
      const Route& route = plan_.routes[w.route];
      observer_->before_update(route, options_of_route(route));
    }
  }
  std::map<std::size_t, std::vector<Work>> elements;  // by group
  std::vector<Work> matrices;
  for (const Work& w : work) {
    const Route& route = plan_.routes[w.route];
    const UpdateRule& rule = options_of_route(route).update();
    if (is_matrix_rule(rule)) {
      matrices.push_back(w);
    } else {
      elements[route.group].push_back(w);
    }
    RuleCounters& counters = counters_[rule_name(rule)];
    const auto skipped = std::count(w.skipped.begin(), w.skipped.end(), true);
    counters.skipped_zero += skipped;
    if (skipped < static_cast<std::ptrdiff_t>(w.skipped.size())) {
      ++counters.updates;
      ++updates_[route.name];
    }
  }
  step_matrices(matrices);
  for (const auto& [group, some] : elements) step_elements(group, some);
  clip_heads();
  if (observer_ != nullptr) {
    for (const Work& w : work) {
      const Route& route = plan_.routes[w.route];
      observer_->after_update(route, options_of_route(route));
    }
  }
  return loss;
}

void Optimizer::set_max_gradient_norm(double norm) {
  MUONLAB_CHECK(norm >= 0 && std::isfinite(norm),
                "Optimizer: largest gradient norm: got ", norm,
                ", expected 0 (none) or more");
  max_gradient_norm_ = norm;
}

void Optimizer::set_attention(std::vector<AttentionSource> sources) {
  for (const AttentionSource& s : sources) {
    const AttentionHeads& l = s.layout;
    const auto check = [&](const std::string& name, std::int64_t first,
                           std::int64_t heads) {
      const Route& route = route_named(name);
      MUONLAB_CHECK(first >= 0 && heads >= 1 && l.head_rows >= 1 &&
                        first + heads * l.head_rows <= route.parameter.size(0),
                    "Optimizer: attention '", l.name, "': ", heads,
                    " heads of ", l.head_rows, " rows from row ", first,
                    " do not fit parameter '", name, "' of shape ",
                    route.parameter.sizes());
    };
    check(l.query, l.query_row, l.heads);
    check(l.key, l.key_row, l.key_heads);
    MUONLAB_CHECK(l.heads % l.key_heads == 0, "Optimizer: attention '", l.name,
                  "': ", l.key_heads, " key heads do not divide ", l.heads,
                  " query heads");
  }
  attention_ = std::move(sources);
}

void Optimizer::check_attention() const {
  for (const Group& group : plan_.groups) {
    const auto* rule = std::get_if<MatrixRule>(&group.options.update());
    if (rule == nullptr || !(rule->qk_clip > 0)) continue;
    MUONLAB_CHECK(!attention_.empty(), "Optimizer: group '", group.name,
                  "': qk_clip is ", rule->qk_clip,
                  ", but no attention layer reports its logits; call "
                  "set_attention(), or set qk_clip to 0");
  }
}

void Optimizer::clip_heads() {
  for (const AttentionSource& source : attention_) {
    const Route& query = route_named(source.layout.query);
    const auto* rule =
        std::get_if<MatrixRule>(&options_of_route(query).update());
    if (rule == nullptr || !(rule->qk_clip > 0)) continue;
    at::Tensor query_rows = query.parameter;
    at::Tensor key_rows = route_named(source.layout.key).parameter;
    clipped_heads_ += qk_clip_(query_rows, key_rows, source.layout,
                               source.largest(), rule->qk_clip);
  }
}

void Optimizer::set_lr_factor(double factor) {
  for (std::size_t g = 0; g < plan_.groups.size(); ++g) {
    param_groups_[g].options().set_lr(plan_.groups[g].options.lr() * factor);
  }
}

void Optimizer::set_momentum_share(double start, double share) {
  MUONLAB_CHECK(start >= 0 && start < 1, "Optimizer: momentum start: got ",
                start, ", expected at least 0 and less than 1");
  MUONLAB_CHECK(share >= 0 && share <= 1, "Optimizer: momentum share: got ",
                share, ", expected 0 to 1");
  bool any = false;
  for (std::size_t g = 0; g < plan_.groups.size(); ++g) {
    const auto* planned =
        std::get_if<MatrixRule>(&plan_.groups[g].options.update());
    auto& options = static_cast<GroupOptions&>(param_groups_[g].options());
    auto* rule = std::get_if<MatrixRule>(&options.update());
    if (planned == nullptr || rule == nullptr) continue;
    any = true;
    rule->momentum = start + share * (planned->momentum - start);
  }
  MUONLAB_CHECK(any,
                "Optimizer: no group has a rule with a momentum to warm "
                "up; see `muonlab optim list`");
}

std::string Optimizer::report() const {
  std::string text;
  for (const auto& [rule, c] : counters_) {
    text += concat("rule ", rule, ": ", core::grouped(c.updates),
                   " parameter updates");
    if (c.skipped_zero > 0) {
      text += concat(", ", core::grouped(c.skipped_zero),
                     " matrices skipped (zero gradient)");
    }
    if (c.without_gradient > 0) {
      text += concat(", ", core::grouped(c.without_gradient),
                     " times without a gradient");
    }
    text += "\n";
  }
  for (const Route& route : plan_.routes) {
    if (updates_.at(route.name) == 0) {
      text += concat("never updated: '", route.name, "'",
                     route.frozen ? " (frozen)" : "", "\n");
    }
  }
  return text;
}

}  // namespace muonlab::optim
