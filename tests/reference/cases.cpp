#include "tests/reference/cases.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <stdexcept>

#include "tests/reference/case_choices.h"
#include "tests/reference/case_inputs.h"
#include "tests/reference/case_plans.h"
#include "tests/reference/golden.h"

namespace muonlab::reference {

namespace {

// Rows 0, 1, ... are row 0 turned by 0, 1, ... places: the same magnitudes.
Matrix turned_rows(Shape shape) {
  Matrix m(shape.rows, shape.columns);
  for (std::size_t i = 0; i < shape.rows; ++i) {
    for (std::size_t j = 0; j < shape.columns; ++j) {
      const auto k = static_cast<double>((i + j) % shape.columns);
      m.at(i, j) = (0.125 + 0.25 * k) * ((i + j) % 2 == 0 ? 1 : -1);
    }
  }
  return m;
}

std::vector<Matrix> make_gradients(const Plan& plan, const std::string& rule,
                                   Decimals& decimals) {
  const std::size_t steps = plan.steps_checked.back();
  const int exponent = plan.gradients == Gradients::kHuge   ? 12
                       : plan.gradients == Gradients::kTiny ? -23
                                                            : -3;
  std::vector<Matrix> all = decimals.matrices(steps, plan.shape, exponent);
  for (std::size_t t = 0; t < steps; ++t) {
    // SOAP's first gradient makes its basis, which rank 1 would leave open.
    const bool basis = rule == "soap" && t == 0;
    if (plan.gradients == Gradients::kRankOne && !basis) {
      all[t] = decimals.rank_one(plan.shape);
    }
    for (std::size_t j = 0; j < plan.shape.columns; ++j) {
      if (plan.gradients == Gradients::kZeroRow) all[t].at(1, j) = 0;
    }
  }
  const Matrix zero(plan.shape.rows, plan.shape.columns);
  if (plan.gradients == Gradients::kZeroFirst) all[0] = zero;
  if (plan.gradients == Gradients::kZeroMiddle) all[1] = zero;
  if (plan.gradients == Gradients::kEqualSlices) {
    all[0] = turned_rows(plan.shape);
  }
  return all;
}

Trajectory make_input(const Plan& plan, const std::string& rule,
                      std::uint64_t seed) {
  Decimals decimals(seed);
  Trajectory t;
  t.rule = rule;
  t.options = complete(rule, plan.options);
  t.w0 = decimals.matrix(plan.shape);
  t.gradients = make_gradients(plan, rule, decimals);
  if (rule == "dion") {
    const Options all = resolved_options(rule, t.options);
    const auto number = [&all](const std::string& name) {
      return std::get<double>(all.at(name));
    };
    const auto side =
        static_cast<double>(std::min(plan.shape.rows, plan.shape.columns));
    const double rank = number("rank") > 0
                            ? number("rank")
                            : std::ceil(number("rank_fraction") * side);
    t.q0 =
        decimals.matrix({plan.shape.columns, static_cast<std::size_t>(rank)});
  }
  return t;
}

// Exact decompositions tell rank 1 from rank 2 by a threshold, so that there
// only changes that keep the rank say what rounding does.
Change change_for(const Plan& plan, const Options& all) {
  if (plan.gradients == Gradients::kEqualSlices) return Change::kFactors;
  if (plan.gradients != Gradients::kRankOne) return Change::kElements;
  const auto is = [&all](const std::string& option, const std::string& value) {
    const auto found = all.find(option);
    return found != all.end() && found->second == Value(value);
  };
  return is("polar_method", "qdwh") || is("direction", "schatten") ||
                 is("direction", "power")
             ? Change::kFactors
             : Change::kElements;
}

std::uint64_t hash_of(const std::string& text) {
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  }
  return hash;
}

// The first of the plan's inputs on which nothing hangs on a rounding.
Case make_case(const std::string& rule, const Plan& plan) {
  constexpr std::uint64_t kAttempts = 40;
  for (std::uint64_t attempt = 0; attempt < kAttempts; ++attempt) {
    Case made;
    made.name = rule + "/" + plan.name;
    made.input = make_input(plan, rule, hash_of(made.name) + attempt);
    made.tolerance = tolerance_of(
        made.input,
        change_for(plan, resolved_options(rule, made.input.options)));
    if (!made.tolerance.settled) continue;
    made.steps_checked = plan.steps_checked;
    made.why = plan.why;
    const std::vector<Matrix> weights = replay(made.input);
    for (const std::size_t step : plan.steps_checked) {
      made.weights.push_back(weights.at(step - 1));
    }
    return made;
  }
  throw std::runtime_error("no settled input for " + rule + "/" + plan.name);
}

// Every option must be away from its default somewhere, but for those that no
// twin can vary: clipping by logits, and the seed of Dion's own Q.
void check_complete(const std::string& rule,
                    const std::vector<Choice>& choices) {
  std::set<std::string> varied = {"qk_clip", "seed"};
  for (const Choice& choice : choices) {
    for (const auto& [name, value] : choice.values) varied.insert(name);
  }
  for (const auto& [name, value] : resolved_options(rule, complete(rule, {}))) {
    if (!varied.contains(name)) {
      throw std::logic_error(rule + ": nothing varies " + name);
    }
  }
}

}  // namespace

RuleCases cases_of(const std::string& rule) {
  const std::vector<Choice> choices = choices_of(rule);
  check_complete(rule, choices);
  std::vector<Choice> together;
  std::copy_if(choices.begin(), choices.end(), std::back_inserter(together),
               [](const Choice& choice) { return !choice.alone; });
  RuleCases made;
  made.covering = cover_pairs(
      together, [&rule](const Options& row) { return is_allowed(rule, row); });
  std::set<std::string> names;
  for (const Plan& plan : plans_of(rule, choices, made.covering)) {
    made.cases.push_back(make_case(rule, plan));
    if (!names.insert(plan.name).second) {
      throw std::logic_error(rule + ": two cases are called " + plan.name);
    }
  }
  return made;
}

std::vector<Case> golden_cases() {
  constexpr double kTenDigits = 6e-11;
  std::vector<Case> cases;
  for (const Golden& row : golden_rows()) {
    Case made;
    made.name = "golden/" + row.name;
    made.input = {row.rule,
                  row.options,
                  golden_weight(),
                  golden_gradients(row.steps),
                  {}};
    if (row.with_q0) made.input.q0 = Matrix(2, 1, {1, 0});
    made.steps_checked = {row.steps};
    made.weights = {{3, 2, row.weight}};
    made.tolerance = tolerance_of(made.input);
    made.tolerance.float64 = kTenDigits;
    made.why = "published";
    cases.push_back(made);
  }
  return cases;
}

}  // namespace muonlab::reference
