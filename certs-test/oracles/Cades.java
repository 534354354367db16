// Bouncy Castle's judgement of our signatures, and signatures of its own for us to judge.
//   Cades verify DOCUMENT SIGNATURE       digest, value, ESS certificate; every timestamp over the value; prints what it saw
//   Cades judge DOCUMENT SIGNATURE...     one line each: the file, and `yes` or `no` with the reason
//   Cades file DOCUMENT KEY CERTIFICATE ISSUER OUT   level B-B with the issuer beside it; key PKCS#8, all DER
//   Cades sign DOCUMENT KEY CERTIFICATE TSA-KEY TSA-CERTIFICATE OUT   level B-T; keys PKCS#8, all DER
import java.io.*;
import java.math.BigInteger;
import java.nio.file.*;
import java.security.*;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cms.*;
import org.bouncycastle.asn1.ess.*;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.cert.*;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.jcajce.*;
import org.bouncycastle.tsp.*;

public class Cades {
    static byte[] read(String path) throws Exception { return Files.readAllBytes(Path.of(path)); }
    static byte[] sha256(byte[] data) throws Exception { return MessageDigest.getInstance("SHA-256").digest(data); }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        if (args[0].equals("judge")) {
            for (int i = 2; i < args.length; i++) {
                String told = "yes";
                try { basic(args[1], args[i]); } catch (Throwable error) { told = "no " + String.valueOf(error.getMessage()).replace('\n', ' '); }
                System.out.println(args[i] + " " + told);
            }
        } else if (args[0].equals("verify")) verify(args); else if (args[0].equals("file")) file(args); else sign(args);
    }

    // Digest, value and the certificate that is named; one signer.
    static SignerInformation basic(String document, String signature) throws Exception {
        CMSSignedData data = new CMSSignedData(new CMSProcessableByteArray(read(document)), read(signature));
        if (data.getSignerInfos().size() != 1) throw new Exception("signers");
        SignerInformation signer = data.getSignerInfos().getSigners().iterator().next();
        X509CertificateHolder holder = (X509CertificateHolder) data.getCertificates().getMatches(signer.getSID()).iterator().next();
        var verifier = new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC");
        if (!signer.verify(verifier.build(new JcaX509Holder(holder).certificate()))) throw new Exception("signature");
        var named = SigningCertificateV2.getInstance(signer.getSignedAttributes().get(PKCSObjectIdentifiers.id_aa_signingCertificateV2).getAttrValues().getObjectAt(0));
        if (!Arrays.equals(named.getCerts()[0].getCertHash(), sha256(holder.getEncoded()))) throw new Exception("certificate");
        return signer;
    }

    static void verify(String[] args) throws Exception {
        CMSSignedData data = new CMSSignedData(new CMSProcessableByteArray(read(args[1])), read(args[2]));
        SignerInformation signer = basic(args[1], args[2]);
        var verifier = new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC");
        int stamps = 0, archived = 0;
        if (signer.getUnsignedAttributes() != null) {
            ASN1EncodableVector all = signer.getUnsignedAttributes().toASN1EncodableVector();
            for (int i = 0; i < all.size(); i++) {
                Attribute one = Attribute.getInstance(all.get(i));
                TimeStampToken token = new TimeStampToken(ContentInfo.getInstance(one.getAttrValues().getObjectAt(0)));
                X509CertificateHolder tsa = (X509CertificateHolder) token.getCertificates().getMatches(token.getSID()).iterator().next();
                token.validate(verifier.build(new JcaX509Holder(tsa).certificate()));
                if (one.getAttrType().equals(PKCSObjectIdentifiers.id_aa_signatureTimeStampToken)) {
                    if (!Arrays.equals(token.getTimeStampInfo().getMessageImprintDigest(), sha256(signer.getSignature()))) throw new Exception("imprint");
                    stamps++;
                } else if (one.getAttrType().getId().equals("0.4.0.1733.2.4")) {
                    if (!Arrays.equals(token.getTimeStampInfo().getMessageImprintDigest(), archive(args, data, signer, token))) throw new Exception("archive imprint");
                    archived++;
                }
            }
        }
        System.out.println("stamps=" + stamps + " archived=" + archived + " crls=" + data.getCRLs().getMatches(null).size());
    }

    // ETSI EN 319 122-1, 5.5.3, written from the clause and not from our program.
    static byte[] archive(String[] args, CMSSignedData data, SignerInformation signer, TimeStampToken token) throws Exception {
        ASN1Encodable index = token.getUnsignedAttributes().get(new ASN1ObjectIdentifier("0.4.0.19122.1.5")).getAttrValues().getObjectAt(0);
        SignerInfo info = signer.toASN1Structure();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(PKCSObjectIdentifiers.data.getEncoded("DER"));
        out.write(sha256(read(args[1])));
        out.write(info.getVersion().getEncoded("DER"));
        out.write(info.getSID().getEncoded("DER"));
        out.write(info.getDigestAlgorithm().getEncoded("DER"));
        out.write(new DERTaggedObject(false, 0, new DERSet(signer.getSignedAttributes().toASN1EncodableVector())).getEncoded("DER"));
        out.write(info.getDigestEncryptionAlgorithm().getEncoded("DER"));
        out.write(info.getEncryptedDigest().getEncoded("DER"));
        out.write(index.toASN1Primitive().getEncoded("DER"));
        // Every certificate that is listed is there.
        ASN1Sequence certificates = ASN1Sequence.getInstance(ASN1Sequence.getInstance(index).getObjectAt(1));
        Set<String> known = new HashSet<>();
        for (Object one : data.getCertificates().getMatches(null)) known.add(Arrays.toString(sha256(((X509CertificateHolder) one).getEncoded())));
        for (ASN1Encodable digest : certificates) if (!known.contains(Arrays.toString(ASN1OctetString.getInstance(digest).getOctets()))) throw new Exception("index");
        return sha256(out.toByteArray());
    }

    static void file(String[] args) throws Exception {
        PrivateKey key = KeyFactory.getInstance("EC", "BC").generatePrivate(new PKCS8EncodedKeySpec(read(args[2])));
        X509Certificate certificate = new JcaX509Holder(new X509CertificateHolder(read(args[3]))).certificate();
        Hashtable<ASN1ObjectIdentifier, Attribute> table = new Hashtable<>();
        ESSCertIDv2 id = new ESSCertIDv2(sha256(certificate.getEncoded()));
        table.put(PKCSObjectIdentifiers.id_aa_signingCertificateV2, new Attribute(PKCSObjectIdentifiers.id_aa_signingCertificateV2, new DERSet(new SigningCertificateV2(new ESSCertIDv2[] {id}))));
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().setProvider("BC").build())
            .setSignedAttributeGenerator(new DefaultSignedAttributeTableGenerator(new AttributeTable(table)))
            .build(new JcaContentSignerBuilder("SHA256withECDSA").setProvider("BC").build(key), certificate));
        generator.addCertificates(new JcaCertStore(List.of(certificate, new JcaX509Holder(new X509CertificateHolder(read(args[4]))).certificate())));
        Files.write(Path.of(args[5]), generator.generate(new CMSProcessableByteArray(read(args[1])), false).getEncoded("DER"));
    }

    static void sign(String[] args) throws Exception {
        KeyFactory factory = KeyFactory.getInstance("EC", "BC");
        PrivateKey key = factory.generatePrivate(new PKCS8EncodedKeySpec(read(args[2]))), tsaKey = factory.generatePrivate(new PKCS8EncodedKeySpec(read(args[4])));
        X509Certificate certificate = new JcaX509Holder(new X509CertificateHolder(read(args[3]))).certificate();
        X509Certificate tsa = new JcaX509Holder(new X509CertificateHolder(read(args[5]))).certificate();
        Hashtable<ASN1ObjectIdentifier, Attribute> table = new Hashtable<>();
        ESSCertIDv2 id = new ESSCertIDv2(sha256(certificate.getEncoded()));
        table.put(PKCSObjectIdentifiers.id_aa_signingCertificateV2, new Attribute(PKCSObjectIdentifiers.id_aa_signingCertificateV2, new DERSet(new SigningCertificateV2(new ESSCertIDv2[] {id}))));
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        var digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
        generator.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(digests)
            .setSignedAttributeGenerator(new DefaultSignedAttributeTableGenerator(new AttributeTable(table)))
            .build(new JcaContentSignerBuilder("SHA256withECDSA").setProvider("BC").build(key), certificate));
        generator.addCertificates(new JcaCertStore(List.of(certificate)));
        CMSSignedData data = generator.generate(new CMSProcessableByteArray(read(args[1])), false);
        SignerInformation signer = data.getSignerInfos().getSigners().iterator().next();
        TimeStampTokenGenerator stamps = new TimeStampTokenGenerator(
            new JcaSimpleSignerInfoGeneratorBuilder().setProvider("BC").build("SHA256withECDSA", tsaKey, tsa),
            digests.get(new org.bouncycastle.asn1.x509.AlgorithmIdentifier(new ASN1ObjectIdentifier("2.16.840.1.101.3.4.2.1"))), new ASN1ObjectIdentifier("1.3.6.1.4.1.32473.3.1"));
        stamps.addCertificates(new JcaCertStore(List.of(tsa)));
        TimeStampRequestGenerator asked = new TimeStampRequestGenerator();
        asked.setCertReq(true);
        TimeStampToken token = stamps.generate(asked.generate(TSPAlgorithms.SHA256, sha256(signer.getSignature())), BigInteger.valueOf(4711), new Date());
        Attribute stamp = new Attribute(PKCSObjectIdentifiers.id_aa_signatureTimeStampToken, new DERSet(token.toCMSSignedData().toASN1Structure()));
        signer = SignerInformation.replaceUnsignedAttributes(signer, new AttributeTable(stamp));
        data = CMSSignedData.replaceSigners(data, new SignerInformationStore(signer));
        Files.write(Path.of(args[6]), data.getEncoded("DER"));
    }

    record JcaX509Holder(X509CertificateHolder holder) {
        X509Certificate certificate() throws Exception { return new org.bouncycastle.cert.jcajce.JcaX509CertificateConverter().setProvider("BC").getCertificate(holder); }
    }
}
