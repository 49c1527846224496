#include "muonlab/optim/plan.h"

#include <ATen/ATen.h>

#include <optional>
#include <ostream>
#include <sstream>
#include <type_traits>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/optim/decay.h"
#include "muonlab/optim/matrix_step.h"

namespace muonlab::optim {

namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::vector<std::string> parts;
  for (const std::int64_t d : shape) parts.push_back(std::to_string(d));
  return parts.empty() ? "scalar" : core::join(parts, "x");
}

// Runs `text` over the logical matrices and folds equal neighbours: "3 x
// 128x128".
template <typename Text>
std::string per_matrix(const Route& route, Text text) {
  std::vector<std::pair<std::string, int>> runs;
  for (const LogicalMatrix& m : route.matrices) {
    const std::string value = text(m);
    if (!runs.empty() && runs.back().first == value) {
      ++runs.back().second;
    } else {
      runs.emplace_back(value, 1);
    }
  }
  std::string line;
  for (const auto& [value, count] : runs) {
    if (!line.empty()) line += ", ";
    if (count > 1) line += std::to_string(count) + " of ";
    line += value;
  }
  return line;
}

std::string significant(double value) {
  std::ostringstream out;
  out.precision(3);
  out << value;
  return out.str();
}

// " (query, key, value)", or the first and the last of many.
std::string block_names(const Route& route) {
  const auto& all = route.matrices;
  if (all.size() < 2) return "";
  std::vector<std::string> names;
  for (const LogicalMatrix& m : all) names.push_back(m.name);
  if (names.size() > 4) names = {all.front().name, "...", all.back().name};
  return " (" + core::join(names, ", ") + ")";
}

Decay decay_of(const UpdateRule& rule) {
  return std::visit(
      [](const auto& r) {
        if constexpr (requires { r.decay; }) {
          return r.decay;
        } else if constexpr (std::is_same_v<decltype(r), const SoapRule&>) {
          return Decay::kAfter;
        } else {
          return Decay::kDecoupled;
        }
      },
      rule);
}

// The scale of rules that are not the pipeline's is fixed by their papers.
std::optional<Scale> scale_of(const UpdateRule& rule) {
  if (const auto* r = std::get_if<MatrixRule>(&rule)) return r->scale;
  if (std::holds_alternative<DionRule>(rule)) return Scale::kSpectral;
  if (std::holds_alternative<Dion2Rule>(rule)) return Scale::kSpectral;
  if (std::holds_alternative<MuownRule>(rule)) return Scale::kMatchRms;
  return std::nullopt;
}

// nullopt where the step decides; 1 where the rule has no scale.
std::optional<double> factor_of(const UpdateRule& rule,
                                const LogicalMatrix& m) {
  const auto scale = scale_of(rule);
  if (!scale) return 1;
  const auto factor = shape_factor(*scale, m.rows, m.columns);
  const auto* matrix = std::get_if<MatrixRule>(&rule);
  if (factor && matrix != nullptr) return *factor * matrix->scale_factor;
  return factor;
}

double removed_per_step(const GroupOptions& options) {
  return decay_per_step(decay_of(options.update()), options.lr(),
                        options.weight_decay());
}

std::vector<std::string> row(const Plan& plan, const Route& route) {
  const Group& group = plan.group_of(route);
  const UpdateRule& rule = group.options.update();
  const double lr = group.options.lr();
  std::string logical = "element-wise";
  std::string scale = "-";
  std::string rate = significant(lr);
  if (is_matrix_rule(rule)) {
    logical = per_matrix(route,
                         [](const LogicalMatrix& m) {
                           return concat(m.rows, "x", m.columns);
                         }) +
              block_names(route);
    const auto factors = [&](double times) -> std::string {
      // Where the step decides, it does so for all matrices of a rule.
      if (!factor_of(rule, route.matrices.front())) return "by step";
      return per_matrix(route, [&](const LogicalMatrix& m) {
        return significant(*factor_of(rule, m) * times);
      });
    };
    if (const auto named = scale_of(rule)) {
      scale = concat(scale_name(*named), "=", factors(1));
    }
    rate = factors(lr);
  }
  return {route.name,
          shape_text(route.parameter.sizes()),
          std::string(role_name(route.role)),
          rule_name(rule),
          logical,
          scale,
          rate,
          significant(removed_per_step(group.options)),
          core::byte_size(static_cast<double>(state_bytes(plan, route))),
          route.why};
}

}  // namespace

at::ScalarType working_dtype(at::ScalarType parameter) {
  return parameter == at::kDouble ? at::kDouble : at::kFloat;
}

std::int64_t state_bytes(const Plan& plan, const Route& route) {
  const UpdateRule& rule = plan.group_of(route).options.update();
  const auto bytes_of_shape = [](const std::vector<std::int64_t>& shape) {
    std::int64_t count = 1;
    for (const std::int64_t d : shape) count *= d;
    return count;
  };
  std::int64_t values = 0;
  const std::int64_t all = route.parameter.numel();
  if (route.matrices.empty()) {
    values = all * static_cast<std::int64_t>(state_slots(rule, 0, 0).size());
  }
  for (const LogicalMatrix& m : route.matrices) {
    for (const StateSlot& slot : state_slots(rule, m.rows, m.columns)) {
      if (slot.kind == StateSlot::Kind::kLikeWeight) {
        values += m.rows * m.columns;
      } else if (slot.kind == StateSlot::Kind::kPerRow) {
        values += m.rows;
      } else {
        values += bytes_of_shape(slot.shape);
      }
    }
  }
  return values * static_cast<std::int64_t>(c10::elementSize(
                      working_dtype(route.parameter.scalar_type())));
}

std::ostream& operator<<(std::ostream& out, const Plan& plan) {
  std::vector<std::vector<std::string>> rows = {
      {"parameter", "shape", "role", "rule", "logical", "scale",
       "effective rate", "decay/step", "state", "why"}};
  for (const Route& route : plan.routes) {
    if (!route.frozen) rows.push_back(row(plan, route));
  }
  out << core::aligned_table(rows);
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    std::int64_t tensors = 0;
    std::int64_t elements = 0;
    for (const Route& route : plan.routes) {
      if (route.group != i || route.frozen) continue;
      ++tensors;
      elements += route.parameter.numel();
    }
    if (tensors == 0) continue;
    const GroupOptions& options = plan.groups[i].options;
    out << "group " << plan.groups[i].name << ": "
        << rule_name(options.update()) << ", lr " << options.lr()
        << ", weight decay " << options.weight_decay() << ", " << tensors
        << " parameters, " << core::grouped(elements) << " values\n";
  }
  for (const auto& [name, why] : plan.left_out) {
    out << "not updated: " << name << ": " << why << "\n";
  }
  return out;
}

formats::Json plan_json(const Plan& plan) {
  using formats::Json;
  using formats::json_number;
  Json rows = Json::array();
  for (const Route& route : plan.routes) {
    if (route.frozen) continue;
    const Group& group = plan.group_of(route);
    const UpdateRule& rule = group.options.update();
    const double lr = group.options.lr();
    Json blocks = Json::array();
    Json rates = Json::array();
    Json scales = Json::array();
    for (const LogicalMatrix& m : route.matrices) {
      const auto factor = factor_of(rule, m);
      blocks.push_back(
          {{"name", m.name}, {"rows", m.rows}, {"columns", m.columns}});
      scales.push_back(factor ? json_number(*factor) : Json());
      rates.push_back(factor ? json_number(lr * *factor) : Json());
    }
    if (!is_matrix_rule(rule)) rates.push_back(json_number(lr));
    const auto scale = scale_of(rule);
    rows.push_back({{"name", route.name},
                    {"shape", route.parameter.sizes().vec()},
                    {"role", role_name(route.role)},
                    {"rule", rule_name(rule)},
                    {"group", group.name},
                    {"blocks", blocks},
                    {"scale", scale ? Json(scale_name(*scale)) : Json()},
                    {"scale_factor", scales},
                    {"effective_lr", rates},
                    {"effective_weight_decay",
                     json_number(removed_per_step(group.options))},
                    {"state_bytes", state_bytes(plan, route)},
                    {"why", route.why}});
  }
  Json left_out = Json::array();
  for (const auto& [name, why] : plan.left_out) {
    left_out.push_back({{"name", name}, {"why", why}});
  }
  return {{"schema", 1}, {"parameters", rows}, {"left_out", left_out}};
}

}  // namespace muonlab::optim
