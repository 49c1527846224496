#include "tests/reference/coefficients.h"

#include <algorithm>
#include <map>
#include <stdexcept>

#include "tests/reference/twin.h"

namespace muonlab::reference {

namespace {

constexpr Coefficients kSimple = {2, -1.5, 0.5};

// arXiv 2505.16932, the rows as published. Its code divides all but the last
// row by powers of 1.01, since float errors may lift a singular value above 1.
Table polar_express() {
  std::vector<Coefficients> rows = {
      {8.28721201814563, -23.595886519098837, 17.300387312530933},
      {4.107059111542203, -2.9478499167379106, 0.5448431082926601},
      {3.9486908534822946, -2.908902115962949, 0.5518191394370137},
      {3.3184196573706015, -2.488488024314874, 0.51004894012372},
      {2.300652019954817, -1.6689039845747493, 0.4188073119525673},
      {1.891301407787398, -1.2679958271945868, 0.37680408948524835},
      {1.8750014808534479, -1.2500016453999487, 0.3750001645474248},
      {15.0 / 8, -5.0 / 4, 3.0 / 8}};
  constexpr double kSafety = 1.01;
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
    rows[i].a /= kSafety;
    rows[i].b /= kSafety * kSafety * kSafety;
    rows[i].c /= kSafety * kSafety * kSafety * kSafety * kSafety;
  }
  return {rows, kSafety};
}

// 1024ths, as its author gives them.
Table you6() {
  std::vector<Coefficients> rows = {{3955, -8306, 5008}, {3735, -6681, 3463},
                                    {3799, -6499, 3211}, {4019, -6385, 2906},
                                    {2677, -3029, 1162}, {2172, -1833, 682}};
  for (Coefficients& row : rows) {
    row = {row.a / 1024, row.b / 1024, row.c / 1024};
  }
  return {rows};
}

Table deepseek_v4() {
  std::vector<Coefficients> rows(8, kKeller);
  rows.push_back(kSimple);
  return {rows};
}

const std::map<std::string, Table>& tables() {
  static const std::map<std::string, Table> all = {
      {"keller", {{kKeller}}},
      {"taylor", {{kTaylor}}},
      {"cubic", {{{1.5, -0.5, 0}}}},
      {"simple", {{kSimple}}},
      {"su1", {{{3.3748, -4.6969, 2.1433}}}},
      {"you5",
       {{{4.0848, -6.8946, 2.9270},
         {3.9505, -6.3029, 2.6377},
         {3.7418, -5.5913, 2.3037},
         {2.8769, -3.1427, 1.2046},
         {2.8366, -3.0525, 1.2012}}}},
      {"you6", you6()},
      {"su-x3",
       {{{4.6182, -12.9582, 9.3299},
         {3.8496, -7.9585, 4.3052},
         {3.5204, -7.2918, 4.0606},
         {3.2067, -6.8243, 4.2802},
         {3.2978, -5.7848, 3.8917}}}},
      {"polar-express", polar_express()},
      {"polar-express-modded",
       {{{8.156554524902461, -22.48329292557795, 15.878769915207462},
         {4.042929935166739, -2.808917465908714, 0.5000178451051316},
         {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
         {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
         {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}},
        1.02}},
      {"polar-express-dao",
       {{{7.8925828744, -20.3830139459, 13.5553061494},
         {3.9114848681, -2.5464635929, 0.4268988320},
         {3.7606579557, -2.5128190182, 0.4323647349},
         {3.1603996737, -2.1496495189, 0.3996366908},
         {2.1910971619, -1.4416620102, 0.3281464876}}}},
      {"cans",
       {{{8.470328803848, -25.108074706662, 18.629275599118},
         {4.182834183294, -3.108701109889, 0.580606681350},
         {3.961857278962, -2.954063746359, 0.562976117954},
         {3.286586217028, -2.464720134531, 0.507357693861},
         {2.273749994434, -1.644660367908, 0.416190927498}}}},
      {"deepseek-v4", deepseek_v4()}};
  return all;
}

}  // namespace

Table coefficient_table(const std::string& name) {
  const auto found = tables().find(name);
  if (found == tables().end()) {
    throw std::invalid_argument("replay: no coefficients " + name);
  }
  return found->second;
}

std::vector<std::string> coefficient_names() {
  std::vector<std::string> names;
  for (const auto& [name, table] : tables()) names.push_back(name);
  return names;
}

Matrix newton_schulz(const Matrix& m, const Table& table, int steps, double eps,
                     bool clamp) {
  if (m.rows > m.columns) {
    return transpose(newton_schulz(transpose(m), table, steps, eps, clamp));
  }
  const double norm = table.safety * frobenius_norm(m);
  const double divisor = clamp ? std::max(norm, eps) : norm + eps;
  Matrix x = m;
  if (divisor == 0) return x;
  for (double& value : x.values) value /= divisor;
  for (int step = 0; step < steps; ++step) {
    const std::size_t last = table.rows.size() - 1;
    const Coefficients& k =
        table.rows[std::min(static_cast<std::size_t>(step), last)];
    const Matrix gram = multiply(x, transpose(x));
    const Matrix cubic = multiply(gram, x);
    const Matrix quintic = multiply(gram, cubic);
    for (std::size_t i = 0; i < x.values.size(); ++i) {
      x.values[i] =
          k.a * x.values[i] + k.b * cubic.values[i] + k.c * quintic.values[i];
    }
  }
  return x;
}

Matrix polar(const Settings& s, const Matrix& a) {
  const std::string method = s.text("polar_method");
  // QDWH is another way to the same value.
  if (method == "svd" || method == "qdwh") return polar_factor(a);
  const std::string mode = s.text("polar_eps_mode");
  if (method != "newton-schulz" || (mode != "add" && mode != "clamp")) {
    throw std::invalid_argument("replay: polar_method or polar_eps_mode");
  }
  return newton_schulz(a, coefficient_table(s.text("polar_coefficients")),
                       static_cast<int>(s.number("polar_steps")),
                       s.number("polar_eps"), mode == "clamp");
}

}  // namespace muonlab::reference
