// Bouncy Castle over an authority: every certificate's path with its lists and policies, every list, every OCSP answer.
//
// Usage: Judge DIRECTORY. It holds root.der; issuers/*.der; certificates/NAME.der, each with NAME.policies beside it (an OID a line);
// lists/ISSUER.crl, where ISSUER.der is the issuer; parts/ISSUER.N.crl; deltas/ISSUER.crl; answers/NAME.der with NAME.expected: issuer, serial in hexadecimal, status, nonce
// (yes or no), hash OID. Prints how many of each were judged; anything wrong is an exception and exit 1.
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXCertPathValidatorResult;
import java.security.cert.PKIXParameters;
import java.security.cert.PolicyNode;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.bouncycastle.asn1.ocsp.OCSPObjectIdentifiers;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.CertificateStatus;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cert.ocsp.RevokedStatus;
import org.bouncycastle.cert.ocsp.SingleResp;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

class Judge {
    static final CertificateFactory FACTORY = factory();
    static final Map<String, X509Certificate> ISSUERS = new TreeMap<>();
    static final List<X509CRL> LISTS = new ArrayList<>();
    static final List<X509CRL> PARTS = new ArrayList<>();
    static X509Certificate root;

    static CertificateFactory factory() {
        Security.insertProviderAt(new BouncyCastleProvider(), 1);
        try {
            return CertificateFactory.getInstance("X.509", "BC");
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    static void require(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }

    static List<Path> files(Path directory, String ending) throws IOException {
        try (var all = Files.list(directory)) {
            return all.filter(file -> file.toString().endsWith(ending)).sorted().toList();
        }
    }

    static String stem(Path file) {
        String name = file.getFileName().toString();
        return name.substring(0, name.lastIndexOf('.'));
    }

    static X509Certificate certificate(Path file) throws Exception {
        byte[] der = Files.readAllBytes(file);
        var read = (X509Certificate) FACTORY.generateCertificate(new ByteArrayInputStream(der));
        require(java.util.Arrays.equals(read.getEncoded(), der), file + " is not written back as it was");
        return read;
    }

    static X509Certificate issuerOf(X509Certificate one) {
        for (X509Certificate issuer : ISSUERS.values()) {
            if (issuer.getSubjectX500Principal().equals(one.getIssuerX500Principal())) {
                return issuer;
            }
        }
        throw new IllegalStateException("no issuer of " + one.getSubjectX500Principal());
    }

    static PKIXCertPathValidatorResult validate(List<X509Certificate> path, Set<String> policies, boolean lists) throws Exception {
        return validate(path, policies, lists, LISTS);
    }

    static PKIXCertPathValidatorResult validate(List<X509Certificate> path, Set<String> policies, boolean lists, List<X509CRL> known) throws Exception {
        var parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
        parameters.setRevocationEnabled(lists);
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(known), "BC"));
        parameters.setDate(new Date());
        if (!policies.isEmpty()) {
            parameters.setInitialPolicies(policies);
            parameters.setExplicitPolicyRequired(true);
        }
        var validator = CertPathValidator.getInstance("PKIX", "BC");
        return (PKIXCertPathValidatorResult) validator.validate(FACTORY.generateCertPath(path), parameters);
    }

    static void policiesBelow(PolicyNode node, Set<String> found) {
        if (node != null && node.getDepth() > 0 && !node.getChildren().hasNext()) {
            found.add(node.getValidPolicy());
        }
        if (node != null) {
            node.getChildren().forEachRemaining(child -> policiesBelow(child, found));
        }
    }

    static void refused(Path file, List<X509Certificate> path, Set<String> policies, List<X509CRL> known) throws Exception {
        try {
            validate(path, policies, true, known);
        } catch (CertPathValidatorException refused) {
            require(refused.getMessage().contains("revocation after"), "refused for another reason: " + refused.getMessage());
            return;
        }
        throw new IllegalStateException(file + " is revoked and was accepted");
    }

    static String issuerName(X509Certificate one) {
        for (var issuer : ISSUERS.entrySet()) {
            if (issuer.getValue().getSubjectX500Principal().equals(one.getIssuerX500Principal())) {
                return issuer.getKey();
            }
        }
        return "root";
    }

    static void judgeCertificate(Path file) throws Exception {
        X509Certificate one = certificate(file);
        if (one.equals(root)) {
            one.verify(root.getPublicKey(), "BC");
            return;
        }
        var path = new ArrayList<X509Certificate>(List.of(one));
        if (!one.getIssuerX500Principal().equals(root.getSubjectX500Principal())) {
            path.add(issuerOf(one));
        }
        boolean revoked = LISTS.stream().anyMatch(list -> list.getIssuerX500Principal().equals(one.getIssuerX500Principal()) && list.isRevoked(one));
        require(revoked == stem(file).startsWith("revoked-"), file + " stands wrongly in a list");
        Set<String> policies = new HashSet<>(Files.readAllLines(file.resolveSibling(stem(file) + ".policies")));
        policies.remove("");
        // By whole lists, and by the part that the certificate names.
        byte[] points = one.getExtensionValue(Extension.cRLDistributionPoints.getId());
        boolean inPart = points != null && !new String(points, java.nio.charset.StandardCharsets.ISO_8859_1).contains("/crl/" + issuerName(one) + ".crl");
        if (revoked) {
            validate(path, policies, false);
            refused(file, path, policies, LISTS);
            if (inPart) {
                refused(file, path, policies, PARTS);
            }
            return;
        }
        if (inPart) {
            validate(path, policies, true, PARTS);
        }
        // A signer with id-pkix-ocsp-nocheck names no list: nobody asks for its status.
        boolean listed = one.getExtensionValue(Extension.cRLDistributionPoints.getId()) != null;
        require(listed || one.getExtensionValue(OCSPObjectIdentifiers.id_pkix_ocsp_nocheck.getId()) != null, file + " names no list");
        var result = validate(path, policies, listed);
        if (!policies.isEmpty()) {
            Set<String> found = new HashSet<>();
            policiesBelow(result.getPolicyTree(), found);
            require(found.equals(policies), file + " is valid for " + found);
            boolean other = true;
            try {
                validate(path, Set.of("1.3.6.1.4.1.32473.99"), listed);
            } catch (CertPathValidatorException refused) {
                other = false;
            }
            require(!other || policies.contains("2.5.29.32.0"), file + " is valid for a policy that it does not name");
        }
    }

    static void judgeList(Path file, String name) throws Exception {
        byte[] der = Files.readAllBytes(file);
        var list = (X509CRL) FACTORY.generateCRL(new ByteArrayInputStream(der));
        X509Certificate issuer = name.equals("root") ? root : ISSUERS.get(name);
        list.verify(issuer.getPublicKey(), "BC");
        var holder = new X509CRLHolder(der);
        var key = new JcaContentVerifierProviderBuilder().setProvider("BC").build(issuer);
        require(holder.isSignatureValid(key) && java.util.Arrays.equals(holder.getEncoded(), der), file + " is not signed by its issuer");
        require(list.getIssuerX500Principal().equals(issuer.getSubjectX500Principal()), file + " names another issuer");
        require(list.getNextUpdate().after(new Date()) && !list.getThisUpdate().after(new Date()), file + " is not of now");
        require(list.getExtensionValue(Extension.cRLNumber.getId()) != null, file + " has no number");
        boolean part = file.getParent().endsWith("parts");
        boolean delta = file.getParent().endsWith("deltas");
        var critical = list.getCriticalExtensionOIDs() == null ? Set.<String>of() : list.getCriticalExtensionOIDs();
        require(critical.contains(Extension.issuingDistributionPoint.getId()) == part, file + " names a part, or none");
        require(critical.contains(Extension.deltaCRLIndicator.getId()) == delta, file + " is a delta, or none");
        require((list.getExtensionValue(Extension.freshestCRL.getId()) != null) == !(part || delta || name.equals("root")), file + "'s delta");
        if (part || name.equals("root")) {
            PARTS.add(list);
        }
        if (!part && !delta) {
            LISTS.add(list);
        }
    }

    static void judgeAnswer(Path file) throws Exception {
        String[] expected = Files.readString(file.resolveSibling(stem(file) + ".expected")).trim().split(" ");
        var response = new OCSPResp(Files.readAllBytes(file));
        require(response.getStatus() == OCSPResp.SUCCESSFUL, file + " is no answer");
        var basic = (BasicOCSPResp) response.getResponseObject();
        var issuer = new X509CertificateHolder(ISSUERS.get(expected[0]).getEncoded());
        require(basic.getCerts().length == 1, file + " carries other than one certificate");
        X509CertificateHolder signer = basic.getCerts()[0];
        var builder = new JcaContentVerifierProviderBuilder().setProvider("BC");
        require(basic.isSignatureValid(builder.build(signer)), file + " is not signed by its signer");
        require(signer.isSignatureValid(builder.build(issuer)), file + "'s signer is not its issuer's");
        require(ExtendedKeyUsage.fromExtensions(signer.getExtensions()).hasKeyPurposeId(KeyPurposeId.id_kp_OCSPSigning), file + "'s signer may not");
        require(signer.getExtension(OCSPObjectIdentifiers.id_pkix_ocsp_nocheck) != null, file + "'s signer has a status");
        require((basic.getExtension(OCSPObjectIdentifiers.id_pkix_ocsp_nonce) != null) == expected[3].equals("yes"), file + "'s nonce");
        require(basic.getResponses().length == 1, file + " answers other than one question");
        SingleResp single = basic.getResponses()[0];
        require(single.getCertID().getHashAlgOID().getId().equals(expected[4]), file + " answers with another hash");
        var digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
        require(single.getCertID().matchesIssuer(issuer, digests), file + " is about another issuer");
        require(single.getCertID().getSerialNumber().equals(new BigInteger(expected[1], 16)), file + " is about another serial");
        CertificateStatus status = single.getCertStatus();
        String found = status == CertificateStatus.GOOD ? "good" : status instanceof RevokedStatus ? "revoked" : "unknown";
        require(found.equals(expected[2]), file + " says " + found);
        Date now = new Date();
        require(!single.getThisUpdate().after(now) && single.getNextUpdate().after(now), file + " is not of now");
    }

    public static void main(String[] arguments) throws Exception {
        Path place = Path.of(arguments[0]);
        root = certificate(place.resolve("root.der"));
        for (Path file : files(place.resolve("issuers"), ".der")) {
            ISSUERS.put(stem(file), certificate(file));
        }
        var lists = files(place.resolve("lists"), ".crl");
        for (Path file : lists) {
            judgeList(file, stem(file));
        }
        var parts = files(place.resolve("parts"), ".crl");
        for (Path file : parts) {
            judgeList(file, stem(file).substring(0, stem(file).lastIndexOf('.')));
        }
        var deltas = files(place.resolve("deltas"), ".crl");
        for (Path file : deltas) {
            judgeList(file, stem(file));
        }
        var certificates = files(place.resolve("certificates"), ".der");
        for (Path file : certificates) {
            judgeCertificate(file);
        }
        var answers = files(place.resolve("answers"), ".der");
        for (Path file : answers) {
            judgeAnswer(file);
        }
        System.out.println(certificates.size() + " certificates, " + lists.size() + " lists, " + parts.size() + " parts, " + deltas.size() + " deltas, " + answers.size() + " answers");
    }
}
