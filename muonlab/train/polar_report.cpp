#include "muonlab/train/polar_report.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/kernels/peak.h"
#include "muonlab/kernels/polar.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/linalg/polar_coefficients.h"
#include "muonlab/linalg/polar_convergence.h"
#include "muonlab/linalg/spectrum.h"
#include "muonlab/linalg/tensor_file.h"

namespace muonlab::train {

namespace {

using Clock = std::chrono::steady_clock;
using formats::Json;
using formats::json_number;

// Longer short sides have their references only where asked for: they take
// minutes.
constexpr std::int64_t kReferenceSide = 1024;
constexpr std::int64_t kMostValues = std::int64_t{1} << 31;
constexpr double kSeconds = 0.3;  // of repetitions
constexpr std::size_t kRepetitions = 5;
constexpr double kLower = 1e-3;  // of the interval that tables are judged on
const std::vector<std::string> kKinds = {"gaussian", "ill-conditioned",
                                         "low-rank", "rank-deficient"};

std::string digits(double value) {
  std::ostringstream out;
  out.precision(3);
  out << value;
  return out.str();
}

std::string shape_text(const at::Tensor& m) {
  return concat(m.size(0), "x", m.size(1));
}

double median(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

at::Tensor make(const MadeMatrix& made) {
  auto generator =
      at::detail::createCPUGenerator(static_cast<std::uint64_t>(made.seed));
  const std::int64_t n = std::min(made.rows, made.columns);
  const std::int64_t m = std::max(made.rows, made.columns);
  const auto random = [&](std::int64_t rows, std::int64_t columns) {
    return at::randn({rows, columns}, generator, at::kFloat);
  };
  at::Tensor wide;
  if (made.kind == "low-rank") {
    const std::int64_t rank = std::max<std::int64_t>(1, n / 4);
    wide = at::matmul(random(n, rank), random(rank, m))
               .div_(std::sqrt(static_cast<double>(rank)))
               .add_(random(n, m), 1e-3);
  } else if (made.kind == "rank-deficient") {
    const at::Tensor half = random((n + 1) / 2, m);
    wide = at::cat({half, half}).narrow(0, 0, n);
  } else {
    wide = random(n, m);
    if (made.kind == "ill-conditioned") {
      wide.mul_(at::logspace(0, -4, n, 10.0, at::kFloat).unsqueeze(1));
    }
  }
  return made.rows <= made.columns ? wide : wide.mT().contiguous();
}

struct Matrix {
  std::string name;
  at::Tensor values;  // float32 or float64
};

at::Tensor checked(const std::string& where, const at::Tensor& tensor) {
  MUONLAB_CHECK(tensor.dim() == 2 && tensor.numel() > 0, where,
                ": a polar factor needs a matrix with values: got ",
                tensor.dim(), " dimensions and ", tensor.numel(), " values");
  MUONLAB_CHECK(tensor.is_floating_point(), where, ": got dtype ",
                c10::toString(tensor.scalar_type()),
                ", expected floating point");
  const at::Tensor values =
      tensor.scalar_type() == at::kDouble ? tensor : tensor.to(at::kFloat);
  if (!at::isfinite(values).all().item<bool>()) {
    throw Error(ErrorKind::kCorruptData,
                concat(where, ": holds a NaN or an infinity"),
                "choose another one with --tensor");
  }
  return values.contiguous();
}

std::vector<Matrix> matrices_of(const PolarRequest& request) {
  if (request.file.empty()) return {{"matrix", make(request.made.value())}};
  const linalg::TensorFile file = linalg::load_tensors(request.file);
  const std::string path = request.file.string();
  std::vector<Matrix> matrices;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file.tensors) {
    names.push_back(name);
    const bool wanted = request.tensor.empty()
                            ? tensor.dim() == 2 && tensor.numel() > 0 &&
                                  tensor.is_floating_point()
                            : name == request.tensor;
    if (!wanted) continue;
    matrices.push_back(
        {name, checked(concat(path, ": tensor '", name, "'"), tensor)});
  }
  MUONLAB_CHECK(!matrices.empty() || request.tensor.empty(), path,
                ": --tensor: has no tensor '", request.tensor, "'",
                core::suggestion(request.tensor, names));
  MUONLAB_CHECK(!matrices.empty(), path,
                ": has no matrix (a tensor of two dimensions)");
  return matrices;
}

// The packed iteration that polar_factor() takes, where it takes one.
std::optional<kernels::PolarSchedule> schedule_of(const at::Tensor& matrix,
                                                  const PolarOptions& options) {
  if (matrix.scalar_type() != at::kFloat) return std::nullopt;
  return linalg::packed_schedule(options);
}

struct Timed {
  at::Tensor factor;
  double seconds = 0;
  double flops = 0;  // 0: not counted
  double share = 0;  // of the peak
  std::size_t repetitions = 0;
};

Timed timed(const at::Tensor& matrix, const PolarOptions& options,
            kernels::PeakMeter& wide, kernels::PeakMeter& narrow) {
  Timed result;
  kernels::PolarFlops flops;
  if (const auto schedule = schedule_of(matrix, options)) {
    flops = kernels::polar_flops(static_cast<std::size_t>(matrix.size(0)),
                                 static_cast<std::size_t>(matrix.size(1)),
                                 *schedule);
  }
  const auto seconds_at_peak = [&] {
    double seconds = 0;
    if (flops.float32 > 0) seconds += flops.float32 / wide.burst();
    if (flops.bfloat16 > 0) seconds += flops.bfloat16 / narrow.burst();
    return seconds;
  };
  std::vector<double> times;
  std::vector<double> shares;
  double all = 0;
  double before = seconds_at_peak();
  do {
    const Clock::time_point begin = Clock::now();
    result.factor = polar_factor(matrix, options);
    times.push_back(
        std::chrono::duration<double>(Clock::now() - begin).count());
    const double after = seconds_at_peak();
    shares.push_back(std::min(before, after) / times.back());
    before = after;
    all += times.back();
    if (times.back() > 1) break;
  } while (times.size() < kRepetitions ||
           (all < kSeconds && times.size() < 100));
  result.repetitions = times.size();
  result.seconds = median(std::move(times));
  result.flops = flops.float32 + flops.bfloat16;
  result.share = median(std::move(shares));
  return result;
}

double distance(const at::Tensor& factor, const at::Tensor& reference) {
  const auto n =
      static_cast<double>(std::min(reference.size(0), reference.size(1)));
  return (factor.to(at::kDouble) - reference).norm().item<double>() /
         std::sqrt(n);
}

// The same steps, in the standard form and in float64.
PolarOptions in_float64(PolarOptions options) {
  options.method = PolarMethod::kNewtonSchulz;
  options.dtype = PolarDtype::kFloat64;
  return options;
}

bool iterates(const PolarOptions& options) {
  return options.method == PolarMethod::kNewtonSchulz ||
         options.method == PolarMethod::kGram;
}

// What a column shows, and what the JSON has.
class Rows {
 public:
  Rows()
      : table_({{"matrix", "shape", "ms", "GFLOP/s", "% of peak",
                 "|OO'-I|/sqrt n", "from UV'", "from float64"}}) {}

  void add(const Matrix& matrix, const Timed& t, double orthogonality,
           std::optional<double> exact, std::optional<double> same) {
    const auto shown = [](std::optional<double> value) {
      return value ? digits(*value) : std::string("-");
    };
    const auto number = [](std::optional<double> value) {
      return value ? json_number(*value) : Json();
    };
    const bool counted = t.flops > 0;
    table_.push_back(
        {matrix.name, shape_text(matrix.values),
         core::fixed(t.seconds * 1e3, 3),
         counted ? core::fixed(t.flops / t.seconds * 1e-9, 1) : "-",
         counted ? core::fixed(100 * t.share, 1) + "%" : "-",
         digits(orthogonality), shown(exact), shown(same)});
    json_.push_back({{"name", matrix.name},
                     {"shape", matrix.values.sizes().vec()},
                     {"dtype", c10::toString(matrix.values.scalar_type())},
                     {"seconds", json_number(t.seconds)},
                     {"repetitions", t.repetitions},
                     {"flops", counted ? json_number(t.flops) : Json()},
                     {"share_of_peak", counted ? json_number(t.share) : Json()},
                     {"orthogonality_error", json_number(orthogonality)},
                     {"distance_from_exact", number(exact)},
                     {"distance_from_float64", number(same)}});
    some_left_out_ = some_left_out_ || !exact;
  }

  [[nodiscard]] std::string text() const {
    std::string text = core::aligned_table(table_);
    if (some_left_out_) {
      text += concat("no references for short sides above ", kReferenceSide,
                     ": --exact computes them\n");
    }
    return text;
  }
  [[nodiscard]] Json json() const { return json_; }

 private:
  std::vector<std::vector<std::string>> table_;
  Json json_ = Json::array();
  bool some_left_out_ = false;
};

Json convergence_json(const PolarConvergence& c) {
  return {{"slope", json_number(c.slope)},
          {"lower", json_number(kLower)},
          {"smallest", json_number(c.smallest)},
          {"largest", json_number(c.largest)},
          {"settles", c.settles},
          {"lifted", json_number(c.lifted)}};
}

Json rows_json(const PolarTable& table) {
  Json rows = Json::array();
  for (const Quintic& q : table.rows) {
    rows.push_back({json_number(q.a), json_number(q.b), json_number(q.c)});
  }
  return rows;
}

}  // namespace

MadeMatrix made_matrix(const std::string& shape, const std::string& kind,
                       std::int64_t seed, const std::string& who) {
  MadeMatrix made{.kind = kind, .seed = seed};
  const char* const end = shape.data() + shape.size();
  const auto rows = std::from_chars(shape.data(), end, made.rows);
  bool good = rows.ec == std::errc() && rows.ptr != end && *rows.ptr == 'x';
  if (good) {
    const auto columns = std::from_chars(rows.ptr + 1, end, made.columns);
    good = columns.ec == std::errc() && columns.ptr == end && made.rows > 0 &&
           made.columns > 0;
  }
  MUONLAB_CHECK(good, who, ": got '", shape,
                "', expected ROWSxCOLUMNS such as 768x3072");
  MUONLAB_CHECK(made.rows <= kMostValues / made.columns, who, ": got '", shape,
                "', expected ", core::grouped(kMostValues), " values at most");
  MUONLAB_CHECK(std::find(kKinds.begin(), kKinds.end(), kind) != kKinds.end(),
                "--kind: got '", kind, "'", core::suggestion(kind, kKinds));
  return made;
}

PolarReport polar_report(const PolarRequest& request) {
  validate(request.options, "polar");
  if (request.threads > 0) {
    at::set_num_threads(static_cast<int>(request.threads));
  }
  const at::NoGradGuard no_grad;
  const std::vector<Matrix> matrices = matrices_of(request);
  core::ThreadPool& pool = linalg::kernel_pool();
  const kernels::SimdLevel level = kernels::active_simd_level();
  const kernels::Peak peak = kernels::measure_peak(pool, level);
  kernels::PeakMeter wide(pool, level, kernels::Element::kFloat32);
  kernels::PeakMeter narrow(pool, level, kernels::Element::kBFloat16);
  Rows rows;
  linalg::NamedTensors factors;
  for (const Matrix& matrix : matrices) {
    const Timed t = timed(matrix.values, request.options, wide, narrow);
    std::optional<double> exact;
    std::optional<double> same;
    if (request.exact || std::min(matrix.values.size(0),
                                  matrix.values.size(1)) <= kReferenceSide) {
      const at::Tensor precise = matrix.values.to(at::kDouble);
      exact = distance(t.factor,
                       polar_factor(precise, {.method = PolarMethod::kSvd}));
      if (iterates(request.options)) {
        same = distance(t.factor,
                        polar_factor(precise, in_float64(request.options)));
      }
    }
    rows.add(matrix, t, linalg::orthogonality_error(t.factor.to(at::kDouble)),
             exact, same);
    if (!request.out.empty()) factors.emplace_back(matrix.name, t.factor);
  }
  if (!request.out.empty()) linalg::save_tensors(request.out, factors);
  const std::string_view backend = linalg::polar_backend();
  return {.text = concat(
              rows.text(), backend, ", ", pool.size(),
              pool.size() == 1 ? " thread" : " threads", "; peak ",
              core::fixed(peak.float32 * 1e-9, 1), " GFLOP/s in float32, ",
              core::fixed(peak.bfloat16 * 1e-9, 1), " in bfloat16\n"),
          .json = {{"schema", 1},
                   {"backend", backend},
                   {"threads", pool.size()},
                   {"peak",
                    {{"float32", json_number(peak.float32)},
                     {"bfloat16", json_number(peak.bfloat16)}}},
                   {"matrices", rows.json()}}};
}

PolarReport polar_tables(int steps) {
  std::vector<std::vector<std::string>> table = {
      {"table", "steps", "slope at 0", "p on [.001, 1]", "settles", "safety",
       "norm", "source"}};
  Json list = Json::array();
  for (const std::string& name : polar_table_names()) {
    const PolarTable& t = polar_table(name);
    const int taken = steps > 0            ? steps
                      : t.rows.size() == 1 ? 5
                                           : static_cast<int>(t.rows.size());
    const PolarConvergence c = polar_convergence(t, taken, kLower);
    table.push_back({name, std::to_string(taken), digits(c.slope),
                     concat(digits(c.smallest), " to ", digits(c.largest)),
                     c.settles ? "yes" : "no", core::shortest(t.safety),
                     t.aol ? "aol only" : "any", std::string(t.source)});
    Json row = {{"name", name},         {"steps", taken},
                {"rows", rows_json(t)}, {"safety", json_number(t.safety)},
                {"aol", t.aol},         {"source", t.source}};
    row.update(convergence_json(c));
    list.push_back(std::move(row));
  }
  return {.text = core::aligned_table(table),
          .json = {{"schema", 1}, {"tables", std::move(list)}}};
}

PolarReport generated_table(const std::string& parts) {
  const std::string text = "polar-express:" + parts;
  const auto steps = static_cast<int>(polar_coefficients(text, 1).rows.size());
  const PolarTable& table = polar_coefficients(text, steps);
  const PolarConvergence c = polar_convergence(table, steps, kLower);
  std::vector<std::vector<std::string>> rows = {{"a", "b", "c"}};
  for (const Quintic& q : table.rows) {
    rows.push_back(
        {core::shortest(q.a), core::shortest(q.b), core::shortest(q.c)});
  }
  Json json = {{"schema", 1},
               {"text", text},
               {"steps", steps},
               {"rows", rows_json(table)},
               {"safety", json_number(table.safety)}};
  json.update(convergence_json(c));
  return {
      .text = concat(core::aligned_table(rows), "slope at 0: ", digits(c.slope),
                     "; p on [.001, 1]: ", digits(c.smallest), " to ",
                     digits(c.largest), "; safety ",
                     core::shortest(table.safety), "\npolar_coefficients = \"",
                     text, "\"\npolar_steps = ", steps, "\n"),
      .json = std::move(json)};
}

}  // namespace muonlab::train
