#include "tests/reference/case_plans.h"

#include <cstdio>

#include "tests/reference/case_choices.h"

namespace muonlab::reference {

namespace {

using namespace std::string_literals;  // a plain literal would become a bool

std::string shape_name(Shape shape) {
  return std::to_string(shape.rows) + "x" + std::to_string(shape.columns);
}

// Wide, tall, square and a single row. A factor of SOAP that lacks rank by two
// or more leaves its eigenvectors open, hence shapes near the square.
std::vector<Plan> default_plans(const std::string& rule) {
  std::vector<Plan> plans;
  const bool soap = rule == "soap";
  for (const Shape shape :
       {soap ? Shape{3, 4} : Shape{3, 5}, soap ? Shape{4, 3} : Shape{5, 3},
        Shape{4, 4}, soap ? Shape{1, 2} : Shape{1, 5}}) {
    plans.push_back({"shape=" + shape_name(shape),
                     {},
                     shape,
                     {1, 2, 4},
                     "all options at their defaults"});
  }
  if (soap) {
    plans.push_back({"shape=1x4",
                     {{"max_dim", 2.0}},
                     {1, 4},
                     {2, 4},
                     "a side longer than max_dim keeps its basis"});
  }
  plans.push_back({"100-steps",
                   {},
                   {3, 2},
                   {1, 10, 100},
                   "roundings add up, averages settle, bias corrections fade"});
  return plans;
}

bool skips(const Options& options) {
  const auto found = options.find("skip_zero");
  return found != options.end();
}

std::vector<Plan> single_plans(const std::string& rule,
                               const std::vector<Choice>& choices) {
  std::vector<Plan> plans;
  for (const Choice& choice : choices) {
    const bool tall = plans.size() % 2 == 1;
    Plan plan = {choice_name(choice),
                 choice.values,
                 tall ? Shape{3, 2} : Shape{2, 3},
                 {1, 3},
                 "one option away from its default"};
    if (choice.option == "direction" && choice.values.contains("k")) {
      plan.shape = {3, 4};  // of which k = 2 leaves one out
    }
    if (rule == "soap") plan.steps_checked = {2, 5};
    if (skips(choice.values)) plan.gradients = Gradients::kZeroMiddle;
    plans.push_back(plan);
  }
  return plans;
}

std::vector<Plan> pair_plans(const std::string& rule,
                             const Covering& covering) {
  std::vector<Plan> plans;
  for (const Options& row : covering.rows) {
    char name[16];
    std::snprintf(name, sizeof name, "pairs/%03zu", plans.size() + 1);
    Plan plan = {name,
                 row,
                 plans.size() % 2 == 1 ? Shape{3, 2} : Shape{2, 3},
                 {3},
                 "pairs of choices meet"};
    if (rule == "soap") plan.steps_checked = {5};
    if (skips(row)) plan.gradients = Gradients::kZeroMiddle;
    plans.push_back(plan);
  }
  return plans;
}

std::vector<Plan> zero_plans(const std::string& rule, Shape shape,
                             bool has_skip) {
  std::vector<Plan> plans;
  for (const bool skip : {true, false}) {
    const Options options = has_skip ? Options{{"skip_zero", skip}} : Options{};
    const std::string name =
        has_skip ? "/skip_zero="s + (skip ? "true" : "false") : "";
    plans.push_back({"zero-middle" + name,
                     options,
                     shape,
                     {1, 2, 4},
                     "the second gradient is zero",
                     Gradients::kZeroMiddle});
    // Dion would take the Q of a zero matrix, which is anybody's.
    if (rule != "dion" || skip) {
      plans.push_back({"zero-first" + name,
                       options,
                       shape,
                       {1, 3},
                       "the first gradient is zero",
                       Gradients::kZeroFirst});
    }
    if (!has_skip) break;
  }
  return plans;
}

std::vector<Plan> special_plans(const std::string& rule) {
  const Options all = resolved_options(rule, complete(rule, {}));
  // With a zero row, Dion needs more rows than its rank, SOAP a square.
  const bool dion = rule == "dion";
  const Shape shape = {3, 4};
  const Shape with_zero_row = dion             ? Shape{5, 3}
                              : rule == "soap" ? Shape{3, 3}
                                               : shape;
  const std::vector<std::size_t> steps = {1, 3};
  std::vector<Plan> plans = zero_plans(rule, shape, skips(all));
  plans.push_back({"rank-1", dion ? Options{{"rank", 1.0}} : Options{}, shape,
                   steps, "every gradient has rank 1", Gradients::kRankOne});
  plans.push_back(
      {"huge", {}, shape, steps, "gradients of 1e15", Gradients::kHuge});
  plans.push_back({"tiny",
                   {},
                   shape,
                   steps,
                   "gradients of 1e-20: every eps beside them counts",
                   Gradients::kTiny});
  plans.push_back({"zero-row",
                   {},
                   with_zero_row,
                   steps,
                   "the second row of every gradient is zero",
                   Gradients::kZeroRow});
  if (rule == "dion2") {
    plans.push_back({"equal-slices",
                     {{"fraction", 0.5}},
                     {4, 4},
                     {1},
                     "of slices as long as each other the first are taken",
                     Gradients::kEqualSlices});
  }
  return plans;
}

}  // namespace

std::vector<Plan> plans_of(const std::string& rule,
                           const std::vector<Choice>& choices,
                           const Covering& covering) {
  std::vector<Plan> all = default_plans(rule);
  for (const std::vector<Plan>& more :
       {special_plans(rule), single_plans(rule, choices),
        pair_plans(rule, covering)}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace muonlab::reference
