#include "muonlab/optim/plan.h"

#include <ATen/ATen.h>

#include <ostream>
#include <sstream>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

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

std::vector<std::string> row(const Plan& plan, const Route& route) {
  const Group& group = plan.group_of(route);
  const double lr = group.options.lr();
  std::string logical = "element-wise";
  std::string scale = "-";
  std::string rate = significant(lr);
  if (const auto* rule = std::get_if<MatrixRule>(&group.options.update())) {
    const auto factor = [&](const LogicalMatrix& m) {
      return scale_factor(rule->scale, m.rows, m.columns);
    };
    logical = per_matrix(route, [](const LogicalMatrix& m) {
      return concat(m.rows, "x", m.columns);
    });
    scale = concat(scale_name(rule->scale), "=",
                   per_matrix(route, [&](const LogicalMatrix& m) {
                     return significant(factor(m));
                   }));
    rate = per_matrix(route, [&](const LogicalMatrix& m) {
      return significant(lr * factor(m));
    });
  }
  return {route.name,
          shape_text(route.parameter.sizes()),
          std::string(role_name(route.role)),
          rule_name(group.options.update()),
          logical,
          scale,
          rate,
          significant(lr * group.options.weight_decay()),
          core::byte_size(static_cast<double>(state_bytes(plan, route))),
          route.why};
}

}  // namespace

std::int64_t state_bytes(const Plan& plan, const Route& route) {
  const bool matrix =
      std::holds_alternative<MatrixRule>(plan.group_of(route).options.update());
  return (matrix ? 1 : 2) * static_cast<std::int64_t>(route.parameter.nbytes());
}

std::ostream& operator<<(std::ostream& out, const Plan& plan) {
  std::vector<std::vector<std::string>> rows = {
      {"parameter", "shape", "role", "rule", "logical", "scale",
       "effective rate", "decay/step", "state", "why"}};
  for (const Route& route : plan.routes) rows.push_back(row(plan, route));
  out << core::aligned_table(rows);
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    std::int64_t tensors = 0;
    std::int64_t elements = 0;
    for (const Route& route : plan.routes) {
      if (route.group != i) continue;
      ++tensors;
      elements += route.parameter.numel();
    }
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
    const Group& group = plan.group_of(route);
    const double lr = group.options.lr();
    Json blocks = Json::array();
    Json rates = Json::array();
    Json scales = Json::array();
    const auto* rule = std::get_if<MatrixRule>(&group.options.update());
    for (const LogicalMatrix& m : route.matrices) {
      const double factor = scale_factor(rule->scale, m.rows, m.columns);
      blocks.push_back(
          {{"name", m.name}, {"rows", m.rows}, {"columns", m.columns}});
      scales.push_back(json_number(factor));
      rates.push_back(json_number(lr * factor));
    }
    if (rule == nullptr) rates.push_back(json_number(lr));
    rows.push_back(
        {{"name", route.name},
         {"shape", route.parameter.sizes().vec()},
         {"role", role_name(route.role)},
         {"rule", rule_name(group.options.update())},
         {"group", group.name},
         {"blocks", blocks},
         {"scale", rule != nullptr ? Json(scale_name(rule->scale)) : Json()},
         {"scale_factor", scales},
         {"effective_lr", rates},
         {"effective_weight_decay",
          json_number(lr * group.options.weight_decay())},
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
