// `muonlab bench`: how fast the kernels are, beside what the cores can do.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <optional>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/kernels/measure.h"
#include "muonlab/kernels/peak.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/train/environment.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

namespace {

using formats::Json;
using formats::json_number;
using kernels::Element;
using kernels::PolarForm;
using kernels::PolarPrecision;
using kernels::SimdLevel;
using Table = std::vector<std::vector<std::string>>;

struct Options {
  std::vector<std::string> levels;
  std::size_t threads = 0;
  bool quick = false;
  bool json = false;
};

struct Form {
  std::string_view name;
  PolarForm form;
  PolarPrecision precision;
};
constexpr Form kForms[] = {
    {"float32", PolarForm::kStandard, PolarPrecision::kFloat32},
    {"bfloat16", PolarForm::kStandard, PolarPrecision::kBFloat16},
    {"bfloat16-master", PolarForm::kStandard, PolarPrecision::kBFloat16Master},
    {"gram float32", PolarForm::kGram, PolarPrecision::kFloat32},
    {"gram mixed", PolarForm::kGram, PolarPrecision::kMixed}};

struct Shape {
  std::size_t rows, columns;
};
constexpr Shape kPolarShapes[] = {{192, 192},  {192, 768}, {384, 1536},
                                  {512, 2048}, {768, 768}, {768, 3072}};
constexpr std::size_t kQuickPolarShapes = 3;

// Squares, then what a step of the polar factor of 768 x 3072 multiplies.
constexpr kernels::ProductSize kProducts[] = {
    {192, 192, 192}, {256, 256, 256},  {384, 384, 384},   {512, 512, 512},
    {768, 768, 768}, {768, 768, 3072}, {1024, 1024, 1024}};
constexpr kernels::ProductSize kLongProduct = {768, 3072, 768};

constexpr int kMostThreads = 1024;
constexpr double kAdamBytes = 28;
constexpr double kSummariseBytes = 4;

std::string giga(double per_second, int digits = 1) {
  return core::fixed(per_second * 1e-9, digits);
}
std::string percent(double share) { return core::fixed(100 * share, 1) + "%"; }
std::string milliseconds(double seconds) {
  return core::fixed(seconds * 1e3, 3);
}

std::vector<SimdLevel> levels_of(const Options& options) {
  std::vector<SimdLevel> levels;
  for (const std::string& name : options.levels) {
    const SimdLevel level = kernels::simd_level_from_name(name);
    if (!kernels::is_available(level)) {
      std::vector<std::string> known;
      for (const SimdLevel l : kernels::available_simd_levels()) {
        known.emplace_back(kernels::simd_level_name(l));
      }
      throw Error(ErrorKind::kUnsupported,
                  concat("--levels: got '", name,
                         "', which this machine or build lacks"),
                  concat("it has ", core::join(known, ", ")));
    }
    levels.push_back(level);
  }
  if (!levels.empty()) return levels;
  if (options.quick) return {kernels::active_simd_level()};
  // The scalar reference takes minutes: only by name, or where nothing else is.
  const auto all = kernels::available_simd_levels();
  levels.assign(all.begin() + (all.size() > 1 ? 1 : 0), all.end());
  return levels;
}

// Five steps of keller's table, restarts as "auto" places them.
kernels::PolarSchedule schedule_of(const Form& form) {
  const PolarOptions polar = {.method = PolarMethod::kGram};
  const Quintic& row = polar_table(polar.coefficients).rows.front();
  kernels::PolarSchedule schedule;
  schedule.form = form.form;
  schedule.precision = form.precision;
  schedule.steps.assign(static_cast<std::size_t>(polar.steps),
                        {static_cast<float>(row.a), static_cast<float>(row.b),
                         static_cast<float>(row.c)});
  if (form.form == PolarForm::kGram) {
    for (const int step : restart_steps(polar)) {
      schedule.restarts.push_back(static_cast<std::size_t>(step));
    }
  }
  return schedule;
}

// One level after the other; rows come as they are measured.
class Bench {
 public:
  Bench(const Options& options, core::ThreadPool& pool)
      : quick_(options.quick),
        text_(!options.json),
        pool_(pool),
        effort_{options.quick ? 0.02 : 0.1} {}

  void run(SimdLevel level) {
    kernels::check_kernels(pool_, level);
    const std::string name(kernels::simd_level_name(level));
    peak(level, name);
    products(level, name);
    polar(level, name);
    elementwise(level, name);
  }

  [[nodiscard]] Json json() const {
    return {{"peaks", peaks_},
            {"products", products_},
            {"polar", polar_},
            {"elementwise", elementwise_}};
  }

 private:
  void say(const std::string& text) const {
    if (text_) std::cout << text << std::flush;
  }

  void peak(SimdLevel level, const std::string& name) {
    const kernels::Peak peak = kernels::measure_peak(pool_, level);
    peaks_.push_back({{"level", name},
                      {"float32", json_number(peak.float32)},
                      {"bfloat16", json_number(peak.bfloat16)}});
    say(concat("\n", name, ": peak ", giga(peak.float32),
               " GFLOP/s in float32, ", giga(peak.bfloat16),
               " in bfloat16\n\n"));
  }

  kernels::Measured product(const kernels::ProductSize& size, Element element,
                            SimdLevel level, const std::string& name) {
    const kernels::Measured m =
        kernels::measure_product(size, element, pool_, level, effort_);
    products_.push_back(
        {{"level", name},
         {"kind", size.symmetric ? "symmetric" : "full"},
         {"element", element == Element::kFloat32 ? "float32" : "bfloat16"},
         {"rows", size.rows},
         {"columns", size.columns},
         {"depth", size.depth},
         {"seconds", json_number(m.seconds)},
         {"flops", json_number(m.flops)},
         {"share_of_peak", json_number(m.share)},
         {"repetitions", m.repetitions}});
    return m;
  }

  void products(SimdLevel level, const std::string& name) {
    Table table = {{"product", "float32 full", "% of peak", "symmetric",
                    "% of peak", "bfloat16 full", "% of peak", "symmetric",
                    "% of peak"}};
    const auto row = [&](kernels::ProductSize size) {
      std::vector<std::string> cells = {
          concat(size.rows, "x", size.columns, "x", size.depth)};
      for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
        for (const bool symmetric : {false, true}) {
          if (symmetric && size.rows != size.columns) {
            cells.insert(cells.end(), {"", ""});
            continue;
          }
          size.symmetric = symmetric;
          const auto m = product(size, element, level, name);
          cells.push_back(giga(m.flops / m.seconds));
          cells.push_back(percent(m.share));
        }
      }
      table.push_back(std::move(cells));
    };
    for (const kernels::ProductSize& size : kProducts) row(size);
    row(kLongProduct);
    say("GFLOP/s executed; symmetric products compute one triangle\n" +
        core::aligned_table(table) + "\n");
  }

  void polar(SimdLevel level, const std::string& name) {
    Table table = {{"polar factor"}};
    for (const Form& form : kForms) {
      table[0].push_back(concat(form.name, " ms"));
      table[0].emplace_back("% of peak");
    }
    std::size_t left = quick_ ? kQuickPolarShapes : std::size(kPolarShapes);
    for (const Shape& shape : kPolarShapes) {
      if (left-- == 0) break;
      std::vector<std::string> cells = {concat(shape.rows, "x", shape.columns)};
      for (const Form& form : kForms) {
        const kernels::Measured m =
            kernels::measure_polar(shape.rows, shape.columns, schedule_of(form),
                                   pool_, level, effort_);
        polar_.push_back({{"level", name},
                          {"form", form.name},
                          {"rows", shape.rows},
                          {"columns", shape.columns},
                          {"seconds", json_number(m.seconds)},
                          {"flops", json_number(m.flops)},
                          {"share_of_peak", json_number(m.share)},
                          {"repetitions", m.repetitions}});
        cells.push_back(milliseconds(m.seconds));
        cells.push_back(percent(m.share));
      }
      table.push_back(std::move(cells));
    }
    say("Five steps of keller's table; packing and writing included\n" +
        core::aligned_table(table) + "\n");
  }

  void elementwise(SimdLevel level, const std::string& name) {
    const std::size_t values = quick_ ? 4'000'000 : 100'000'000;
    const kernels::ElementwiseTimes times =
        kernels::measure_elementwise(values, pool_, level, effort_);
    const auto count = static_cast<double>(values);
    Table table = {{"pass over " +
                        core::grouped(static_cast<std::int64_t>(values)) +
                        " values",
                    "ms", "GB/s"}};
    const auto row = [&](const char* pass, double seconds, double bytes) {
      elementwise_.push_back(
          {{"level", name},
           {"pass", pass},
           {"values", values},
           {"seconds", json_number(seconds)},
           {"bytes_per_second", json_number(bytes * count / seconds)}});
      table.push_back(
          {pass, milliseconds(seconds), giga(bytes * count / seconds)});
    };
    row("adam", times.adam, kAdamBytes);
    row("summarise", times.summarise, kSummariseBytes);
    say(core::aligned_table(table));
  }

  bool quick_;
  bool text_;
  core::ThreadPool& pool_;
  kernels::Effort effort_;
  Json peaks_ = Json::array();
  Json products_ = Json::array();
  Json polar_ = Json::array();
  Json elementwise_ = Json::array();
};

void run(const Options& options, const std::vector<std::string>& argv) {
  const std::vector<SimdLevel> levels = levels_of(options);
  core::ThreadPool& pool = options.threads == 0
                               ? linalg::kernel_pool()
                               : core::shared_pool(options.threads);
  if (!options.json) {
    std::cout << train::version_line() << "; " << train::machine_line() << "; "
              << pool.size() << (pool.size() == 1 ? " thread\n" : " threads\n");
  }
  Bench bench(options, pool);
  for (const SimdLevel level : levels) bench.run(level);
  if (!options.json) return;
  Json machine = train::environment(argv);
  machine["threads"] = pool.size();
  Json page = {{"schema", 1}, {"quick", options.quick}, {"machine", machine}};
  page.update(bench.json());
  std::cout << page.dump(2) << "\n";
}

}  // namespace

void add_bench_verb(CLI::App& app, Exit& exit) {
  auto* verb = app.add_subcommand(
      "bench", "the kernels' speed, as a share of what the cores can do");
  auto options = std::make_shared<Options>();
  verb->add_option("--threads", options->threads,
                   "threads of the kernels (default: as many as cores)")
      ->check(CLI::Range(1, kMostThreads));
  verb->add_option("--levels", options->levels,
                   "instruction sets, with commas: scalar, avx2, avx512, "
                   "avx512-bf16 (default: all but scalar; with --quick the "
                   "one in use)")
      ->delimiter(',');
  verb->add_flag("--quick", options->quick,
                 "seconds instead of a minute: less repetition, smaller "
                 "matrices and 4 million values instead of 100 (1.6 GB)");
  verb->add_flag("--json", options->json, "one JSON object on stdout");
  verb->footer(
      "Each repetition stands between bursts of multiply-adds on all threads;\n"
      "shares are medians of the ratios, so that they hold while clock rates\n"
      "change. Results are checked against plain loops first.\n"
      "Example: muonlab bench --quick");
  verb->callback([options, &exit] { run(*options, exit.argv); });
}

}  // namespace muonlab::tools
